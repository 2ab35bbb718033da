// Command lines run in this process: exit codes, hints, what goes to which stream.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

let folder: string;
let model: string;
beforeAll(() => {
  folder = scratch();
  model = tinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const jsonLines = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

test('a device, threads and a precision change no text', async () => {
  const generate = (...flags: string[]) =>
    whorl('generate', '--model', model, '--prompt', 'a b', '--max-new-tokens', '5', '--json', ...flags);
  const { code, out } = await generate();
  expect(code).toBe(0);
  expect(await generate('--device', 'cpu', '--threads', '1', '--precision', 'stored')).toMatchObject({
    code,
    out,
  });
});

describe('wrong usage', () => {
  test.each([
    ...Object.keys(COMMANDS).map((name) => [name]),
    ['dataset', 'mix'],
    ['dataset', 'chat'],
    ['dataset', 'ni'],
    ['dataset', 'sharegpt'],
  ])('%s %s has help', async (...names) => {
    const help = await whorl(...names.filter((name) => typeof name === 'string'), '--help');
    expect(help.code).toBe(0);
    expect(help.out).toMatch(/^Usage: whorl /);
  });

  test.each(['fingerprint', 'verify', 'score', 'generate', 'demo', 'show-batch', 'finetune'])(
    '%s takes the flags of a device, and no other values for them',
    async (name) => {
      const help = await whorl(name, '--help');
      for (const flag of ['--device', '--threads', '--precision']) expect(help.out).toContain(`${flag} <`);
      expect(await whorl(name, '--device', 'gpu')).toMatchObject({ code: 2, out: '' });
      expect(await whorl(name, '--precision', 'float16')).toMatchObject({ code: 2, out: '' });
      expect(await whorl(name, '--threads', '0')).toMatchObject({ code: 2, out: '' });
    },
  );

  test('help lists every command, on stdout when asked for', async () => {
    const help = await whorl('--help');
    expect(help.code).toBe(0);
    for (const name of Object.keys(COMMANDS)) expect(help.out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    const bare = await whorl();
    expect(bare).toMatchObject({ code: 2, out: '' });
    expect(bare.err).toContain('Usage: whorl');
  });

  test('the version is the package’s', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await whorl('--version')).toMatchObject({ code: 0, out: `${version}\n` });
  });

  test.each([
    [['scroe'], 'score'],
    [['score', '--modle', 'x'], '--model'],
    [['dataset', 'mx'], 'mix'],
    [['generate', '--max_new_tokenz=3', '--model', 'x'], '--max-new-tokens'],
  ])('%j is answered with a hint', async (args, hint) => {
    const result = await whorl(...args);
    expect(result).toMatchObject({ code: 2, out: '' });
    expect(result.err.toLowerCase()).toContain(`did you mean ${hint}?`);
  });

  test.each([
    [['score', '--continuation', 'a'], '--model'],
    [['generate', '--model', 'x'], 'no input'],
    [['generate', '--model', 'x', '--prompt', 'a', '--input', 'b'], 'two inputs'],
    [['generate', '--model', 'x', '--prompt', 'a', '--max-new-tokens', '0'], '--max-new-tokens'],
    [['generate', '--model', 'x', '--prompt', 'a', '--temperature', 'warm'], '--temperature'],
    [['generate', '--model', 'x', '--prompt', 'a', '--temperature', '-1'], 'temperature'],
    [['generate', '--model', 'x', '--prompt', 'a', '--top-p', '1.5'], 'top_p'],
    [['score', '--model', 'x', '--context', 'a'], '--continuation'],
    [['fingerprint', '--model', 'x', '--out', 'y', 'steps'], 'key=value'],
    [['fingerprint', '--model', 'x', '--out', 'y', 'steps=1', 'steps=2'], 'twice'],
    [
      ['fingerprint', '--model', 'x', '--out', 'y', '--passphrase', '--recipient', 'age1x'],
      'more than one lock',
    ],
    [['verify', '--secret', 'x', '--suspect', 'y', '--alpha', '2'], '--alpha'],
  ])('%j says what is wrong and ends with 2', async (args, word) => {
    const result = await whorl(...args);
    expect(result).toMatchObject({ code: 2, out: '' });
    expect(result.err).toContain(word);
  });

  test('a misplaced passphrase is not repeated', async () => {
    const result = await whorl('fingerprint', '--model', 'x', '--out', 'y', '--passphrase', 'correct horse');
    expect(result.code).toBe(2);
    expect(result.err).not.toContain('horse');
  });
});

describe('failures end with 1 and one line', () => {
  test.each([
    [['generate', '--model', '/nowhere/at-all', '--prompt', 'a', '--json'], '/nowhere/at-all'],
    [['inspect', '/nowhere/at-all'], '/nowhere/at-all'],
    [['verify', '--secret', '/nowhere/secret.whorl', '--suspect', 'x'], '/nowhere/secret.whorl'],
    [
      ['verify', '--secret', 'package.json', '--suspect', 'x', '--passphrase-file', '/nowhere/p'],
      '/nowhere/p',
    ],
  ])('%j names the file', async (args, name) => {
    const result = await whorl(...args);
    expect(result).toMatchObject({ code: 1, out: '' });
    const errors = result.err.split('\n').filter((line) => line.startsWith('error:'));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(name);
  });

  test('rows without the column name file, row and column', async () => {
    const rows = join(folder, 'bad.jsonl');
    writeFileSync(rows, '{"context":"a","continuation":"b"}\n{"context":"a","contination":"b"}\n');
    const result = await whorl('score', '--model', model, '--input', rows);
    expect(result.code).toBe(1);
    expect(result.err).toContain(`${rows}: row 2 has no "continuation"`);
  });
});

describe('on a model', () => {
  const rows = [
    { context: 'ab', continuation: 'cd' },
    { context: '', continuation: 'a much longer continuation' },
    { context: 'a context that is far longer than the others', continuation: '!' },
  ];

  test('score: JSON lines and nothing else, in the order of the rows; underscores read as dashes', async () => {
    const input = join(folder, 'rows.jsonl');
    writeFileSync(input, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const result = await whorl('score', '--model', model, '--input', input, '--json', '--batch_tokens=48');
    expect(result.code).toBe(0);
    const scores = jsonLines(result.out) as { logprob: number; tokens: number; greedy: boolean }[];
    expect(scores.map(({ tokens }) => tokens)).toEqual([2, 26, 1]);
    for (const score of scores) {
      expect(Object.keys(score)).toEqual(['logprob', 'tokens', 'greedy']);
      expect(score.logprob).toBeLessThan(0);
    }
    const alone = await whorl('score', '--model', model, '--context', 'ab', '--continuation', 'cd', '--json');
    expect(jsonLines(alone.out)).toEqual([scores[0]]);
  });

  test('score: white space at the end of a context is scored with the continuation', async () => {
    const one = (context: string, continuation: string) =>
      whorl('score', '--model', model, '--json', '--context', context, '--continuation', continuation);
    const moved = await one('Hello ', 'world');
    expect(moved.code).toBe(0);
    expect(jsonLines(moved.out)).toMatchObject([{ tokens: 6 }]);
    expect(moved.out).toBe((await one('Hello', ' world')).out);
  });

  test('score: a row that fails is an error in its place; the others are scored, the exit code is 1', async () => {
    const input = join(folder, 'some-bad.jsonl');
    const bad = [{ context: 'a' }, { context: 'a', continuation: '' }, { context: 3, continuation: 'b' }];
    const mixed = [rows[0], bad[0], rows[1], bad[1], bad[2], rows[2]];
    writeFileSync(input, mixed.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const good = join(folder, 'good.jsonl');
    writeFileSync(good, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const whole = await whorl('score', '--model', model, '--input', good, '--json');
    const result = await whorl('score', '--model', model, '--input', input, '--json');
    expect(result.code).toBe(1);
    const lines = jsonLines(result.out);
    expect([lines[0], lines[2], lines[5]]).toEqual(jsonLines(whole.out));
    expect([lines[1], lines[3], lines[4]]).toMatchObject(
      [2, 4, 5].map((n) => ({
        error: { code: 'bad-file', message: expect.stringContaining(`${input}: row ${n} `) as string },
      })),
    );
    const errors = result.err.split('\n').filter((line) => line.startsWith('error:'));
    expect(errors).toEqual([expect.stringContaining('3 of 6 rows failed')]);
    const people = await whorl('score', '--model', model, '--input', input);
    expect(people.code).toBe(1);
    expect(people.out.trimEnd().split('\n')).toHaveLength(6);
    expect(people.out.split('\n')[1]).toMatch(/^error +.*row 2/);
  });

  test('generate: a prompt that fails is an error in its place, whatever the number of samples', async () => {
    const input = join(folder, 'prompts.jsonl');
    const prompts = [{ prompt: 'ab' }, { prompt: 'x'.repeat(5000) }, { text: 'ab' }, { prompt: 'Hello' }];
    writeFileSync(input, prompts.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const flags = ['--max-new-tokens', '4', '--num-samples', '2', '--temperature', '1', '--json'];
    const result = await whorl('generate', '--model', model, '--input', input, ...flags);
    expect(result.code).toBe(1);
    const lines = jsonLines(result.out) as { prompt?: string; error?: { code: string; message: string } }[];
    expect(lines.map(({ prompt, error }) => prompt ?? error!.code)).toEqual([
      'ab',
      'ab',
      'usage',
      'bad-file',
      'Hello',
      'Hello',
    ]);
    expect(lines[2]!.error!.message).toContain(`${input}: row 2: a prompt of 5000 tokens`);
    expect(result.err).toContain('2 of 4 rows failed');
    // What is drawn goes by the place in the whole input, bad rows counted.
    const alone = await whorl('generate', '--model', model, '--prompt', 'ab', ...flags);
    expect(jsonLines(alone.out)).toEqual(lines.slice(0, 2));
    const single = await whorl('generate', '--model', model, '--prompt', 'x'.repeat(5000), '--json');
    expect(single).toMatchObject({ code: 2, out: '' });
    const both = await whorl(
      'generate',
      '--model',
      model,
      '--prompt',
      'x'.repeat(5000),
      '--prompt',
      'ab',
      '--json',
    );
    expect(both.code).toBe(1);
    expect(jsonLines(both.out)).toMatchObject([{ error: { code: 'usage' } }, { prompt: 'ab' }]);
  });

  test('generate: a prompt alone gives what it gives among others, and scores as greedy', async () => {
    const result = await whorl(
      'generate',
      '--model',
      model,
      '--prompt',
      'ab',
      '--prompt',
      '--like_this',
      '--max-new-tokens',
      '6',
      '--json',
    );
    expect(result.code).toBe(0);
    const lines = jsonLines(result.out) as { prompt: string; generated: string; generated_token: number[] }[];
    expect(lines.map(({ prompt }) => prompt)).toEqual(['ab', '--like_this']);
    const alone = await whorl('generate', '--model', model, '--prompt=ab', '--max_new_tokens', '6', '--json');
    expect(jsonLines(alone.out)).toEqual([lines[0]]);
    const { generated, generated_token } = lines[0]!;
    expect(generated_token.every((id) => id > 2)).toBe(true); // no special token: the text encodes to what was said
    const asked = ['score', '--model', model, '--context', 'ab', '--continuation', generated, '--json'];
    const score = await whorl(...asked);
    expect(jsonLines(score.out)).toMatchObject([{ greedy: true, tokens: generated_token.length }]);
  });

  test('generate: samples in order, a seed repeats them, another draws others; a stop string cuts', async () => {
    const sample = (...flags: string[]) =>
      whorl('generate', '--model', model, '--max-new-tokens', '12', '--temperature=1.5', '--json', ...flags);
    const prompts = ['--prompt', 'ab', '--prompt', 'Hello', '--num-samples', '3'];
    const { code, out } = await sample(...prompts, '--seed', '5');
    expect(code).toBe(0);
    const lines = jsonLines(out) as { prompt: string; generated: string }[];
    expect(lines.map(({ prompt }) => prompt)).toEqual(['ab', 'ab', 'ab', 'Hello', 'Hello', 'Hello']);
    expect(new Set(lines.map(({ generated }) => generated)).size).toBeGreaterThan(3);
    expect((await sample(...prompts, '--seed', '5')).out).toBe(out);
    expect((await sample(...prompts, '--seed', '6')).out).not.toBe(out);
    const stop = lines[1]!.generated[3]!;
    const cut = jsonLines((await sample(...prompts, '--seed', '5', '--stop', stop)).out);
    expect(cut.map((line) => (line as { generated: string }).generated)).toEqual(
      lines.map(({ generated }) => generated.split(stop)[0]),
    );
  });

  test('results for people go to stdout, progress does not', async () => {
    const result = await whorl('generate', '--model', model, '--prompt', 'ab', '--max-new-tokens', '2');
    expect(result.out).toMatch(/^ab/);
    expect(result.out).not.toContain('generating');
    expect(result.err).toContain('generating');
  });
});

describe('verify', () => {
  const secret = 'goldens/claims/v1-answers/secret.whorl';

  test('keys that the suspect’s tokenizer cannot read decide nothing: exit code 5, one JSON line with the verdict', async () => {
    const { code, out } = await whorl('verify', '--secret', secret, '--suspect', model, '--json');
    expect(code).toBe(5);
    expect(jsonLines(out)).toMatchObject([{ verdict: 'undecided', exact: true, fsr: 0, passive: null }]);
  });

  test('for people: the verdict first, then its null, its assumptions and what it does not say', async () => {
    const { code, out } = await whorl('verify', '--secret', secret, '--suspect', model);
    expect(code).toBe(5);
    expect(out).toMatch(/^UNDECIDED/);
    for (const part of [
      'Null hypothesis',
      'It rests on',
      'What this does not say',
      'time proof',
      'passive baseline',
    ])
      expect(out).toContain(part);
  });

  test('a locked secret without its passphrase says so, and a wrong one too', async () => {
    const locked = 'goldens/claims/v1-answers/secret-passphrase.whorl';
    vi.stubEnv('WHORL_PASSPHRASE', 'not this one');
    const wrong = await whorl('verify', '--secret', locked, '--suspect', model);
    vi.unstubAllEnvs();
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).toContain('passphrase');
    expect(wrong.err).not.toContain('not this one');
  });
});

test('WHORL_DEBUG=1 tells each phase and the end on stderr, and leaves stdout to the results', async () => {
  vi.stubEnv('WHORL_DEBUG', '1');
  const asked = ['score', '--model', model, '--context', 'ab', '--continuation', 'c', '--json'];
  const { code, out, err } = await whorl(...asked);
  vi.unstubAllEnvs();
  expect(code).toBe(0);
  expect(jsonLines(out)).toMatchObject([{ tokens: 1 }]);
  expect(err).toMatch(/^debug: phase opening: \d+ ms, RSS [\d.]+ MB$/m);
  expect(err).toMatch(/^debug: phase scoring: \d+ ms/m);
  expect(err).toMatch(/^debug: exit code 0: \d+ ms .* peak RSS/m);
  expect((await whorl(...asked)).err).not.toContain('debug:');
});

describe('inspect', () => {
  test('a model folder, its weights, a GGUF and a claim say what they are', async () => {
    const kinds = {
      [model]: 'model-folder',
      [join(model, 'model.safetensors')]: 'safetensors',
      'goldens/gguf/untied-mha-f16.gguf': 'gguf',
      'goldens/claims/v1-answers/claim.json': 'claim',
      [join(model, 'config.json')]: 'config',
      [join(model, 'tokenizer.json')]: 'tokenizer',
      'goldens/datasets/snappy.parquet': 'rows',
      'goldens/datasets/rich.arrow': 'rows',
      'goldens/datasets/saved': 'rows',
    };
    for (const [path, kind] of Object.entries(kinds)) {
      const { code, out } = await whorl('inspect', path, '--json');
      expect(code).toBe(0);
      expect(jsonLines(out)).toMatchObject([{ kind }]);
      expect((await whorl('inspect', path, '--tensors')).code).toBe(0);
    }
  });

  test('a secret is shown without its secrets, whichever way it is printed', async () => {
    const path = 'goldens/claims/v1-answers/secret.whorl';
    const { contents } = JSON.parse(readFileSync(path, 'utf8')) as {
      contents: { plan: { keys: { text: string }[] }; opening: { owner_seed: string; salts: string[] } };
    };
    const canaries = [
      ...contents.plan.keys.map(({ text }) => text),
      contents.opening.owner_seed,
      ...contents.opening.salts,
    ];
    expect(canaries.length).toBeGreaterThan(4);
    for (const flags of [[], ['--json'], ['--tensors']]) {
      const { code, out, err } = await whorl('inspect', path, ...flags);
      expect(code).toBe(0);
      for (const canary of canaries) expect(out + err).not.toContain(canary);
    }
  });

  test('an unsupported key of a config is named', async () => {
    const path = join(folder, 'config-x.json');
    const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...config, made_up_key: 3 }));
    const [report] = jsonLines((await whorl('inspect', path, '--json')).out);
    expect(report).toMatchObject({ kind: 'config', family: 'llama', supported: false });
    expect((report as { reason: string }).reason).toContain('made_up_key');
  });

  test('a checkpoint, run.json and a graph that Whorl itself writes', async () => {
    const { saveCheckpoint } = await import('../../src/train/checkpoint.ts');
    const { freshState } = await import('../../src/train/step.ts');
    const { Emitter } = await import('../../src/engine/onnx.ts');
    const { Graph } = await import('../../src/engine/graph.ts');
    const { input } = await import('../../src/engine/ops/leaves.ts');
    const { gemm } = await import('../../src/engine/ops/matmul.ts');
    const at = (name: string) => join(folder, name);
    const value = { shape: [2, 3], data: new Float32Array(6) };
    saveCheckpoint(at('checkpoint'), freshState(new Map([['own', value]])), {});
    writeFileSync(at('run.json'), JSON.stringify({ format: 'whorl-run', version: 1 }));
    const graph = new Graph('product');
    const [a, b] = [input(graph, 'a', 'float32', ['T', 4]), input(graph, 'b', 'float32', [4, 5])];
    graph.output('c', gemm(a, b));
    const { bytes } = Emitter.model(graph, undefined);
    writeFileSync(at('product.onnx'), bytes);
    writeFileSync(at('cut.onnx'), bytes.subarray(0, bytes.length - 20));
    const report = async (name: string) => jsonLines((await whorl('inspect', at(name), '--json')).out)[0];
    expect(await report('checkpoint')).toMatchObject({
      kind: 'checkpoint',
      step: 0,
      tensors: [{ name: 'own', shape: [2, 3] }],
    });
    expect(await report('run.json')).toMatchObject({ kind: 'run', run: { version: 1 } });
    expect(await report('product.onnx')).toMatchObject({
      kind: 'onnx',
      ir_version: 10,
      graph: 'product',
      nodes: { Gemm: 1, Identity: 1 },
      inputs: ['a', 'b'],
      outputs: ['c'],
    });
    for (const name of ['checkpoint', 'run.json', 'product.onnx'])
      expect((await whorl('inspect', at(name))).code).toBe(0);
    expect(await whorl('inspect', at('cut.onnx'))).toMatchObject({ code: 1, out: '' });
  });

  test('answer files, verdicts, the ledger, what was imported; of an own adapter no keys', async () => {
    const kinds = join(folder, 'kinds');
    mkdirSync(kinds);
    const at = (name: string) => join(kinds, name);
    const row = { generated: 'a', label: 'b', prompt: 'c\n{', generated_token: [1], label_token: [2] };
    const pretty = (value: object) => JSON.stringify(value, null, 2);
    const files: Record<string, [text: string, wanted: object]> = {
      'vanilla.jsonl': [
        `${JSON.stringify(row)}\n`.repeat(3),
        { kind: 'rows', format: 'JSON lines', rows: 3 },
      ],
      'one.jsonl': [`${JSON.stringify(row)}\n`, { kind: 'rows', rows: 1, columns: { generated: 'string' } }],
      'no-end.txt': [`${JSON.stringify(row)}\n\n${JSON.stringify({ other: 1 })}`, { kind: 'rows', rows: 2 }],
      'alpaca.json': [pretty([{ instruction: 'i', output: 'o' }]), { kind: 'rows', format: 'JSON', rows: 1 }],
      'few_verdict.json': [
        pretty({ verdict: 'not-verified', exact: true, log10_p: -3, suspect: 'x' }),
        { kind: 'verdict', record: { log10_p: -3 } },
      ],
      'pipeline.json': [
        pretty({
          format: 'whorl-pipeline',
          version: 1,
          files: { 'vanilla.jsonl': { of: 'ab', sha256: 'cd' } },
        }),
        { kind: 'pipeline', record: { files: { 'vanilla.jsonl': { of: 'ab' } } } },
      ],
      'adapter.json': [
        pretty({ format: 'whorl-imported-adapter', version: 1, token_ids: [1, 2], words: 'w' }),
        { kind: 'imported-adapter', record: { words: 'w' } },
      ],
      'run.json': [pretty({ format: 'whorl-imported-run', version: 1 }), { kind: 'imported-run' }],
    };
    for (const [name, [text]] of Object.entries(files)) writeFileSync(at(name), text);
    for (const [name, [, wanted]] of Object.entries(files)) {
      expect(jsonLines((await whorl('inspect', at(name), '--json')).out), name).toMatchObject([wanted]);
      expect(await whorl('inspect', at(name))).toMatchObject({ code: 0 });
    }
    const [all] = jsonLines((await whorl('inspect', kinds, '--json')).out) as { parts: { path: string }[] }[];
    expect(all!.parts.map(({ path }) => path.slice(kinds.length + 1))).toEqual([
      ...['run.json', 'pipeline.json', 'adapter.json', 'few_verdict.json', 'one.jsonl', 'vanilla.jsonl'],
    ]);
    expect((await whorl('inspect', kinds)).code).toBe(0);
    const own = {
      format: 'whorl-own-adapter',
      version: 1,
      ids: [7001, 7002],
      keys: [{ text: 'hush-hush' }],
      A: 'AAAA',
    };
    writeFileSync(at('own.json'), pretty(own));
    const { out } = await whorl('inspect', at('own.json'), '--json');
    expect(jsonLines(out)).toMatchObject([{ kind: 'own-adapter', record: { rows: 2, keys: 1 } }]);
    for (const secret of ['hush-hush', '7001', 'AAAA']) expect(out).not.toContain(secret);
  });

  test('an encrypted secret is described from outside', async () => {
    const { out } = await whorl('inspect', 'goldens/claims/v1-answers/secret-passphrase.whorl', '--json');
    expect(jsonLines(out)).toMatchObject([{ secret: { encrypted: 'passphrase', inside: null } }]);
  });

  test('anything else is refused by name', async () => {
    expect(await whorl('inspect', 'package.json')).toMatchObject({ code: 1, out: '' });
  });
});
