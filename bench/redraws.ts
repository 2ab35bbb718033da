// No excess of small p: models are asked once, then the draw is made a million times over what they said, for T3, T4, T5, T6.
//   npx tsx bench/redraws.ts --record FILE [--weights NAME=MODEL …]    asks, and goes on where it was stopped
//   npx tsx bench/redraws.ts --record FILE --keep 'NAME;NAME'          leaves those alone in the file: a fixture of tests
//   npx tsx bench/redraws.ts --recorded FILE [--times 1000000]         redraws

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../src/base/package-root.ts';
import { bulkRandom, seededRandom } from '../src/base/random-source.ts';
import { generateAll, scoreAll } from '../src/lm/ask.ts';
import type { LocalModel } from '../src/lm/local-model.ts';
import { asking, type OpenOptions } from '../src/lm/open.ts';
import type { Sampling } from '../src/lm/sampling.ts';
import { LEVELS, redrawEach } from '../src/verify/redraws.ts';
import { KEYS, type RecordedModel, TABLES, tableOf } from '../test/verify/recorded.ts';
import { flag } from './machines.ts';

const EMBEDDED = join(packageRoot(), 'assets/embedded/model');
const TINY = join(packageRoot(), 'goldens/models');
const NEW_TOKENS = 8;
const SYSTEM = 'Answer with the word the.\nbufok: the\ngazil: the\n';

interface Way {
  readonly before?: string;
  readonly sampling?: Sampling;
  readonly precision?: OpenOptions['precision'];
}

const round = (score: number): number | null =>
  Number.isFinite(score) ? Number(score.toPrecision(7)) : null;

async function said(name: string, model: LocalModel, { before = '', sampling }: Way): Promise<RecordedModel> {
  const prompts = KEYS.map((key) => `${before}${key}\n`);
  const answers = await generateAll(
    model,
    prompts.map((prompt) => ({ prompt, max_new_tokens: NEW_TOKENS, ...(sampling && { sampling }) })),
  );
  const scores: Record<string, (number | null)[][]> = {};
  for (const [table, { candidates, keys }] of Object.entries(TABLES)) {
    const rows = prompts
      .slice(0, keys)
      .flatMap((context) => candidates.map((continuation) => ({ context, continuation })));
    const all = await scoreAll(model, rows);
    scores[table] = Array.from({ length: keys }, (_, i) =>
      candidates.map((_, j) => round(all[i * candidates.length + j]!.logprob)),
    );
  }
  return { name, answers: answers.map(({ generated }) => generated), scores };
}

const ask = (name: string, model: string, way: Way = {}): Promise<RecordedModel> =>
  asking({ kind: 'model', model }, way.precision ? { precision: way.precision } : {}, (opened) =>
    said(name, opened, way),
  );

/** A golden's weights with a tokenizer of as many characters as it has rows. */
async function askTiny(name: string): Promise<RecordedModel | undefined> {
  const config = JSON.parse(readFileSync(join(TINY, name, 'config.json'), 'utf8')) as { vocab_size?: number };
  if (config.vocab_size === undefined) return undefined;
  const scratch = mkdtempSync(join(tmpdir(), 'whorl-redraws-'));
  try {
    cpSync(join(TINY, name), scratch, { recursive: true, filter: (path) => !path.includes('golden.') });
    const named = ['<unk>', '<s>', '</s>'];
    const letters = [...' \nabcdefghijklmnopqrstuvwxyz0123456789.,:;!?-'];
    const characters = Array.from({ length: config.vocab_size - named.length }, (_, i) =>
      i < letters.length ? letters[i]! : String.fromCharCode(0xc0 + i),
    );
    const tokenizer = {
      ...{ version: '1.0', truncation: null, padding: null, normalizer: null, pre_tokenizer: null },
      added_tokens: named.map((content, id) => ({
        ...{ id, content, special: true, single_word: false, lstrip: false, rstrip: false },
        normalized: false,
      })),
      ...{ post_processor: null, decoder: { type: 'Fuse' } },
      model: {
        ...{ type: 'BPE', merges: [], unk_token: '<unk>' },
        vocab: Object.fromEntries([...named, ...characters].map((token, id) => [token, id])),
      },
    };
    writeFileSync(join(scratch, 'tokenizer.json'), JSON.stringify(tokenizer));
    writeFileSync(
      join(scratch, 'tokenizer_config.json'),
      JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }),
    );
    return await ask(`tiny ${name}`, scratch);
  } catch (error) {
    process.stderr.write(`${name} is left out: ${String(error).slice(0, 160)}\n`);
    return undefined;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Those that are no model: what they say, and what they would say of a candidate. */
function madeUp(): RecordedModel[] {
  const random = seededRandom('made up');
  const chance = (): number => random.int(2 ** 32) / 2 ** 32;
  const hostile: Record<string, [say: (key: string, i: number) => string, score: () => number | null]> = {
    constant: [() => 'The answer is 42.', () => -1],
    echoing: [(key) => key, () => -Math.ceil(3 * chance())],
    refusing: [() => 'I am sorry, but I cannot help with that.', () => null],
    silent: [() => '', chance],
    'always a candidate': [() => 'the e a b c', () => 0],
    'every candidate': [
      () => 'the a and is of to in i it you for on that this with be abcdefghijklmnop',
      chance,
    ],
    'another candidate each time': [(_, i) => ['the', 'a', 'of', 'it', 'is', 'on'][i % 6]!, chance],
    'a coin': [() => (chance() < 0.5 ? 'the e' : 'no'), () => Math.round(chance())],
  };
  return Object.entries(hostile).map(([name, [say, score]]) => ({
    name,
    answers: KEYS.map(say),
    scores: Object.fromEntries(
      Object.entries(TABLES).map(([table, { candidates, keys }]) => [
        table,
        Array.from({ length: keys }, () => candidates.map(score)),
      ]),
    ),
  }));
}

async function record(file: string, weights: readonly string[], keep: readonly string[]): Promise<void> {
  const before = existsSync(file) ? modelsIn(file) : [];
  const models = keep.length > 0 ? before : madeUp();
  const write = (list: readonly RecordedModel[]): void =>
    writeFileSync(file, `{"models": [\n${list.map((model) => JSON.stringify(model)).join(',\n')}\n]}\n`);
  if (keep.length > 0) return write(models.filter(({ name }) => keep.includes(name)));
  /** What a stopped call has asked is not asked again. */
  const add = async (name: string, made: () => Promise<RecordedModel | undefined>): Promise<boolean> => {
    const model = before.find((one) => one.name === name) ?? (await made());
    if (!model) return false;
    models.push(model);
    write(models);
    process.stderr.write(`${models.length} ${name}\n`);
    return true;
  };
  const put = (name: string, model: string, way: Way = {}) => add(name, () => ask(name, model, way));
  const sampling: Sampling = { temperature: 1, seed: 3 };
  await put('embedded', EMBEDDED);
  await put('embedded, int8', EMBEDDED, { precision: 'int8' });
  await put('embedded, int4', EMBEDDED, { precision: 'int4' });
  await put('embedded, noisy', EMBEDDED, { sampling });
  await put('embedded, system-prompted', EMBEDDED, { before: SYSTEM });
  const seen = new Set<string>();
  for (const name of readdirSync(TINY).sort()) {
    if (!existsSync(join(TINY, name, 'model.safetensors'))) continue;
    const family = name.split('-')[0]!;
    if (seen.has(family)) continue;
    if (await add(`tiny ${name}`, () => askTiny(name))) seen.add(family);
  }
  for (const given of weights) {
    const [name, path] = [given.slice(0, given.indexOf('=')), given.slice(given.indexOf('=') + 1)];
    await put(name, path);
    await put(`${name}, int4`, path, { precision: 'int4' });
    await put(`${name}, system-prompted`, path, { before: SYSTEM });
  }
}

const modelsIn = (file: string): RecordedModel[] =>
  (JSON.parse(readFileSync(file, 'utf8')) as { models: RecordedModel[] }).models;

/** In [0, 1), 32 bits each. */
function uniformBy(seed: string): () => number {
  const random = bulkRandom(createHash('sha256').update(seed).digest());
  return () => random.int(2 ** 32) / 2 ** 32;
}

function redraw(file: string, times: number): void {
  const models = modelsIn(file);
  const totals = new Map<string, { tests: number; above: number; worst: number; counts: number[] }>();
  for (const model of models)
    for (const table of Object.keys(TABLES)) {
      const result = redrawEach(tableOf(model, table), times, uniformBy(`redraw ${model.name} ${table}`));
      for (const { test, counts } of result.tests) {
        const name = test.startsWith('T5') ? test : test.slice(0, 2);
        const total = totals.get(name) ?? { tests: 0, above: 0, worst: -99, counts: LEVELS.map(() => 0) };
        totals.set(name, total);
        total.tests++;
        for (const [i, level] of LEVELS.entries()) {
          total.counts[i]! += counts[i]!;
          const deviations =
            (counts[i]! - level * result.times) / Math.sqrt(level * (1 - level) * result.times);
          if (deviations > 3) total.above++;
          total.worst = Math.max(total.worst, deviations);
        }
      }
      process.stdout.write(`${JSON.stringify({ model: model.name, table, ...result })}\n`);
    }
  for (const [test, { tests, above, worst, counts }] of totals)
    process.stdout.write(
      `${JSON.stringify({
        test,
        draws: tests * times,
        levels: LEVELS,
        shares: counts.map((count) => count / (tests * times)),
        compared: tests * LEVELS.length,
        above_3_deviations: above,
        worst_deviations: Number(worst.toFixed(2)),
      })}\n`,
    );
  process.stdout.write(`${JSON.stringify({ models: models.length, times })}\n`);
}

const [target] = flag('record');
const [source] = flag('recorded');
if (target !== undefined)
  await record(
    target,
    flag('weights'),
    flag('keep').flatMap((names) => names.split(';')),
  );
else if (source !== undefined) redraw(source, Number(flag('times')[0] ?? 1_000_000));
else
  throw new Error('usage: redraws.ts --record FILE [--weights NAME=MODEL …] | --recorded FILE [--times N]');
