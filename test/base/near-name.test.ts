// A name that is not there, of every kind that a user writes: the nearest one or two are named, else a short list or where the
// list is; never a wall of names. What the messages say stands where they say so is looked up.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { chooseAttacks } from '../../src/attack/attacks.ts';
import { nameHint, nearestNames } from '../../src/base/near-name.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { settingsIn } from '../../src/base/setting.ts';
import { catalogue, chosen } from '../../src/evaluate/catalogue.ts';
import { parseExpression } from '../../src/evaluate/expression.ts';
import { FUNCTIONS } from '../../src/evaluate/functions.ts';
import { parseTask } from '../../src/evaluate/task-file.ts';
import { tuningSettings } from '../../src/finetune/settings.ts';
import { METHODS, methodNamed, settingsFor } from '../../src/fingerprint/registry.ts';
import { readList } from '../../src/fleet/suspects.ts';
import { convertModel } from '../../src/models/convert-to-gguf.ts';
import { GGUF_FAMILIES } from '../../src/models/families/gguf.ts';
import { FAMILIES, familyOf } from '../../src/models/families/index.ts';
import { WRAPPERS as WRAPPING } from '../../src/models/families/wrappers.ts';
import { modeNamed } from '../../src/pipeline/ready.ts';
import { pickColumns } from '../../src/sources/rows/row.ts';
import { loadTemplate } from '../../src/text/prompts/instruction-templates.ts';
import { WRAPPERS, wrapperNamed } from '../../src/text/prompts/wrappers.ts';
import { whorl } from '../cli/whorl.ts';

const folder = mkdtempSync(join(tmpdir(), 'whorl-near-'));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'a'));

describe('which names are near', () => {
  const NAMES = ['steps', 'stamp', 'lr', 'lora_rank', 'loss_weight', 'kl_weight', 'epochs', 'rate'];
  test.each<[string, string[]]>([
    ['stpes', ['steps']], // two letters that changed places are one edit
    ['Steps', ['steps']],
    ['step', ['steps']],
    ['lrr', ['lr']],
    ['rank', ['lora_rank']], // a whole word of the name
    ['weight', ['loss_weight', 'kl_weight']],
    ['lr-schedule', ['lr']],
    ['xy', []], // every two letters are two edits from every other two
    ['a', []],
    ['', []],
    ['nothing-like-it', []],
  ])('%s: %j', (name, near) => expect(nearestNames(name, NAMES)).toEqual(near));

  test('at most two, of equal distance, the first first, each once', () => {
    expect(nearestNames('bat', ['cat', 'hat', 'rat', 'cat'])).toEqual(['cat', 'hat']);
    expect(nearestNames('cat', ['bat', 'cat'])).toEqual(['cat']);
  });

  const many = Array.from({ length: 500 }, (_, i) => `name-number-${i}-${'x'.repeat(i)}`);
  test.each<[string, readonly string[], object, string]>([
    ['q', ['aaa', 'bbb'], {}, 'one of aaa, bbb'],
    ['q', ['aaa'], {}, 'there is aaa'],
    ['q', [], {}, 'there is none'],
    ['q', ['aaa', 'bbb'], { or: 'a file' }, 'one of aaa, bbb, or a file'],
    ['q', many, { list: 'the manual lists them' }, 'the manual lists them'],
    ['aa', ['aaa', 'bbb'], { shown: (name: string) => `--${name}` }, 'did you mean --aaa?'],
    ['bat', ['cat', 'hat'], {}, 'did you mean cat or hat?'],
  ])('the hint for %s of %j', (name, names, words, hint) => expect(nameHint(name, names, words)).toBe(hint));

  test('a long list without a place is cut, long names too', () => {
    const hint = nameHint('q', many.slice(495));
    expect(hint).toMatch(/^one of name-number-495-/);
    expect(hint.length).toBeLessThan(200);
    expect(nameHint('q', many)).toMatch(/ and 495 more$/);
  });
});

const YAML = `task: mine
dataset_path: x
output_type: multiple_choice
test_split: test
doc_to_text: "{{a}}"
doc_to_target: "{{b}}"
doc_to_choice: ["x", "y"]
metric_list:
  - metric: acc
metadata:
  version: 1
`;
const task = (from: string, to: string) => parseTask(YAML.replace(from, to), 'mine.yaml');
const inFile = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const cli =
  (...args: string[]) =>
  async () => {
    const { code, err } = await whorl(...args);
    expect(code).toBe(2);
    throw new Error(err.trim());
  };

interface Kind {
  /** The misspelt name, looked up. */
  readonly ask: (name: string) => unknown;
  readonly misspelt: string;
  readonly meant: string;
  /** What is said of a name that is like none. */
  readonly else: RegExp;
}
const LISTED = (place: string) => new RegExp(`: ${place} lists `);
const KINDS: Readonly<Record<string, Kind>> = {
  'a setting of a method': {
    ask: (name) => settingsFor(METHODS.rows!, '', { [name]: '1' }),
    ...{ misspelt: 'stpes', meant: 'steps', else: LISTED('whorl fingerprint --method rows --help') },
  },
  "a setting in the paper's words": {
    ask: (name) => settingsFor(METHODS.sft!, '', { [name]: '1' }),
    ...{ misspelt: 'total_bzs', meant: 'total_bsz', else: LISTED('whorl fingerprint --method sft --help') },
  },
  'a setting of fine-tuning': {
    ask: (name) => tuningSettings({ [name]: '1' }, true, 'alpaca.'),
    ...{ misspelt: 'epcohs', meant: 'alpaca.epochs', else: LISTED('whorl finetune --lora --help') },
  },
  'a value of a choice': {
    ask: (name) => settingsFor(METHODS.sft!, '', { schedule: name }),
    ...{ misspelt: 'cosin', meant: 'cosine', else: /: one of [a-z, ]+$/ },
  },
  'a method': { ask: methodNamed, misspelt: 'adaptor', meant: 'adapter', else: /: one of rows, / },
  'an attack': {
    ask: (name) => chooseAttacks([name]),
    ...{ misspelt: 'nois', meant: 'noise', else: /: one of noise, reset-mean, / },
  },
  'a setting of an attack': {
    ask: (name) => chooseAttacks(['noise'], { [name]: '1' }),
    ...{ misspelt: 'noise.shre', meant: 'noise.share', else: /: one of .*noise\.share/ },
  },
  'a task': {
    ask: (name) => chosen(catalogue(), [name]),
    ...{ misspelt: 'piqua', meant: 'piqa', else: LISTED('docs/evaluate.md') },
  },
  'a mode of the pipeline': {
    ask: modeNamed,
    ...{
      misspelt: 'ownership_verfy',
      meant: 'ownership_verify',
      else: /: one of .*, or a setting as key=value$/,
    },
  },
  'a wrapper': { ask: wrapperNamed, misspelt: 'chatlm', meant: 'chatml', else: LISTED('docs/commands.md') },
  'an instruction template': {
    ask: loadTemplate,
    misspelt: 'alpacca',
    meant: 'alpaca',
    else: /, or a JSON file$/,
  },
  'a key of a template': {
    ask: (name) => loadTemplate(inFile('template.json', JSON.stringify({ [name]: '' }))),
    ...{ misspelt: 'promt_input', meant: 'prompt_input', else: /: one of prompt_input, / },
  },
  'a model type': {
    ask: (model_type) => familyOf({ model_type }, 'config.json'),
    ...{ misspelt: 'falkon', meant: 'falcon', else: LISTED('docs/models.md') },
  },
  'a kind of RoPE': {
    ask: (rope_type) =>
      familyOf(
        {
          ...{
            model_type: 'llama',
            hidden_size: 8,
            intermediate_size: 8,
            num_hidden_layers: 1,
            vocab_size: 8,
          },
          ...{ num_attention_heads: 1, max_position_embeddings: 8, rope_scaling: { rope_type, factor: 2 } },
        },
        'config.json',
      ),
    ...{ misspelt: 'liner', meant: 'linear', else: /: one of default, / },
  },
  'a type of GGUF': {
    ask: (type) => convertModel({ model: folder, to: 'gguf', type, out: join(folder, 'x.gguf') } as never),
    ...{ misspelt: 'q8_O', meant: 'q8_0', else: /: one of f32, / },
  },
  'a key of a task file': {
    ask: (name) => task('test_split', name),
    ...{ misspelt: 'tst_split', meant: 'test_split', else: LISTED('docs/evaluate.md') },
  },
  'a key within a task file': {
    ask: (name) => task('- metric: acc', `- metric: acc\n    ${name}: mean`),
    ...{ misspelt: 'agregation', meant: 'aggregation', else: /: one of metric, aggregation, / },
  },
  'functions of a task file': {
    ask: (name) => task('task: mine', `task: mine\nfunctions: ${name}`),
    ...{ misspelt: 'helaswag', meant: 'hellaswag', else: LISTED('docs/evaluate.md') },
  },
  'a metric': {
    ask: (name) => task('metric: acc', `metric: ${name}`),
    misspelt: 'acc_nrom',
    meant: 'acc_norm',
    else: /: one of acc, /,
  },
  'an aggregation': {
    ask: (name) => task('metric: acc', `metric: acc\n    aggregation: ${name}`),
    ...{ misspelt: 'maen', meant: 'mean', else: /: one of mean, / },
  },
  'a filter of a template': {
    ask: (name) => parseExpression(`a|${name}`)({ a: ['x'] }),
    ...{ misspelt: 'jion', meant: 'join', else: /: one of join, / },
  },
  'a column of rows': {
    ask: (name) => pickColumns('rows.json', ['instruction', 'output'], [name]),
    ...{ misspelt: 'instrution', meant: '"instruction"', else: /: one of "instruction", "output"$/ },
  },
  'a field of a list of suspects': {
    ask: (name) => readList(inFile('list.jsonl', JSON.stringify({ suspect: 'a', [name]: 'b' }))),
    ...{ misspelt: 'modle', meant: 'model', else: /: one of suspect, / },
  },
  'a flag': {
    ask: (name) => cli('fingerprint', `--${name}`, 'x')(),
    ...{
      misspelt: 'overwriet',
      meant: '--overwrite',
      else: /unknown option --\S+: a setting is written \S+=VALUE, without dashes$/,
    },
  },
  'a flag of a command without settings': {
    ask: (name) => cli('check', `--${name}`)(),
    ...{ misspelt: 'htlm', meant: '--html', else: /: see --help$/ },
  },
  'a device': {
    ask: (name) => cli('generate', '--model', folder, '--prompt', 'a', '--device', name)(),
    ...{ misspelt: 'cpuu', meant: 'cpu', else: /--device zqzqzqzq is not known: one of auto, cpu, / },
  },
};

const said = async (ask: () => unknown): Promise<string> => {
  try {
    await ask();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
};

describe.each(Object.entries(KINDS))('%s', (_, { ask, misspelt, meant, else: otherwise }) => {
  test('misspelt: the nearest', async () => {
    expect(await said(() => ask(misspelt))).toContain(`did you mean ${meant}?`);
  });
  test('like none: a short list, or where the list is', async () => {
    const line = await said(() => ask('zqzqzqzq'));
    expect(line).toMatch(otherwise);
    expect(line).not.toContain('did you mean');
    expect(line.length).toBeLessThan(330);
  });
});

test('a command: the nearest', async () => {
  expect((await whorl('fingerprnt')).err).toContain('did you mean fingerprint?');
});

const doc = (name: string): string => readFileSync(join(packageRoot(), 'docs', name), 'utf8');
test.each<[string, string, () => Iterable<string>]>([
  ['tasks', 'evaluate.md', () => [...catalogue().tasks.keys()].filter((name) => !name.startsWith('mmlu'))],
  ['functions', 'evaluate.md', () => Object.keys(FUNCTIONS)],
  ['wrappers', 'commands.md', () => WRAPPERS.keys()],
  ['model types', 'models.md', () => [...Object.keys(FAMILIES), ...WRAPPING.keys()]],
  ['architectures of a GGUF', 'models.md', () => GGUF_FAMILIES.map(({ architecture }) => architecture)],
])('the list of %s that messages point to is docs/%s', (_, file, names) => {
  const all = [...names()];
  expect(all.length).toBeGreaterThan(10);
  expect(all.filter((name) => !doc(file).includes(`\`${name}\``))).toEqual([]);
});

test.each(['rows', 'adapter', 'sft', 'emb', 'lora', 'stamp'])(
  'the list of settings of %s that messages point to is its help',
  async (name) => {
    const { out } = await whorl('fingerprint', '--method', name, '--help');
    for (const [key] of settingsIn(METHODS[name]!.schema)) expect(out).toContain(`  ${key}=`);
  },
);
