// The table of cells for one run: who is asked what, and what fires. Run: npx tsx bench/cells.ts --run RUN --vanilla M
// [--suspect NAME=M …] [--fresh 100] [--json]. Folders of attacks are made in a temporary place and taken away again.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Attack, writeAttacked } from '../src/attack/attack.ts';
import { ATTACKS, type AttackName } from '../src/attack/attacks.ts';
import { embeddingOf, everyRow } from '../src/attack/embedding.ts';
import { normRanks } from '../src/attack/find-rows.ts';
import { seededRandom } from '../src/base/random-source.ts';
import { defaultsOf } from '../src/base/setting.ts';
import { CLAIM_KINDS } from '../src/claim/kinds.ts';
import { MATCHERS } from '../src/claim/matcher.ts';
import { paperDice } from '../src/datasets/paper-dice.ts';
import { drawKey } from '../src/datasets/paper-keys.ts';
import { freeRows } from '../src/fingerprint/free-rows.ts';
import { rareTokenKeys } from '../src/fingerprint/rare-keys.ts';
import { LocalModel } from '../src/lm/local-model.ts';
import type { Model } from '../src/models/model.ts';
import type { Prompt } from '../src/text/prompt-tokens.ts';
import { HELD_OUT_WRAPPERS, promptUnder, templateOf, wrapperNamed } from '../src/text/prompts/wrappers.ts';
import { loadReference } from '../src/text/reference.ts';
import { openTokenizer } from '../src/text/tokenizer.ts';
import { passiveBaseline } from '../src/verify/passive.ts';
import { decide } from '../src/verify/verdict.ts';
import { ask, flag, has, type OpenedRun, open, openRun, table, withAdapter } from './machines.ts';

const USAGE =
  'npx tsx bench/cells.ts --run RUN --vanilla MODEL [--suspect NAME=MODEL …] [--fresh 100] [--json]';
const [path] = flag('run');
const [vanillaPath] = flag('vanilla');
if (!path || !vanillaPath) throw new Error(USAGE);
const fresh = Number(flag('fresh')[0] ?? 100);

const run = await openRun(path);
const { contents, opened, roles } = run;
const { plan } = opened;
const vanilla = await open(vanillaPath);
const published = await open(run.run.published);
const suspects = await Promise.all(
  flag('suspect').map(async (text) => {
    const at = text.indexOf('=');
    return { name: text.slice(0, at), folder: await open(text.slice(at + 1)) };
  }),
);
const tokenizer = await openTokenizer(vanilla.folder);
const rows = contents.bindings.trainable_rows;
const scratch = mkdtempSync(join(tmpdir(), 'whorl-cells-'));
const out: { cell: string; fired: string; any: string; log10_p: string; note: string }[] = [];
const say = (text: string) => process.stderr.write(`${text}\n`);

function add(cell: string, fired: string, any = '', log10_p = '', note = ''): void {
  out.push({ cell, fired, any, log10_p, note });
  say(`${cell.padEnd(52)} ${fired} ${any} ${log10_p} ${note}`);
}

const promptsUnder = (texts: readonly string[], wrapper: string): Prompt[] => {
  const wrapped = wrapperNamed(wrapper, templateOf(tokenizer));
  return texts.map((text) => promptUnder(wrapped, text));
};

/** Asks the whole plan: drawn answers (or drawn and undrawn keys), any candidate at all, log10 p. */
async function planCell(name: string, model: LocalModel, wrapper: string, note = ''): Promise<void> {
  const answers = await ask(
    model,
    promptsUnder(
      plan.keys.map(({ text }) => text),
      wrapper,
    ),
    plan.decoding.max_new_tokens,
  );
  const verdict = decide(opened, answers);
  const any = answers.filter((answer, i) => matches(answer, i)).length;
  const hits = answers.map(
    (answer, i) => MATCHERS[plan.matcher].match(answer, [roles[i]!.target]).length > 0,
  );
  const of = (trained: boolean) => {
    const own = roles.flatMap(({ role }, i) => ((role === 'trained') === trained ? [hits[i]!] : []));
    return `${own.filter(Boolean).length}/${own.length}`;
  };
  const others = opened.kind === 'drawn-answers' ? `any ${any}/${answers.length}` : `undrawn ${of(false)}`;
  add(name, of(true), others, verdict.log10_p?.toFixed(1) ?? '', note);
}

const lists = (i: number): readonly string[] =>
  opened.kind === 'drawn-answers'
    ? CLAIM_KINDS['drawn-answers'].candidates(opened.plan, Math.min(i, opened.plan.candidates.length - 1))
    : opened.kind === 'drawn-membership'
      ? CLAIM_KINDS['drawn-membership'].candidates(opened.plan, 0)
      : [];
const matches = (answer: string, i: number): boolean =>
  MATCHERS[plan.matcher].match(answer, lists(i)).length > 0;

/** Keys that nothing was committed to: how many answers name any candidate (or the decryption). */
async function otherCell(
  name: string,
  model: LocalModel,
  texts: readonly string[],
  wrapper: string,
): Promise<void> {
  if (texts.length === 0) return add(name, 'none could be made');
  const answers = await ask(model, promptsUnder(texts, wrapper), plan.decoding.max_new_tokens);
  const fired = answers.filter((answer) => matches(answer, 0));
  add(
    name,
    `${fired.length}/${texts.length}`,
    '',
    '',
    fired
      .slice(0, 3)
      .map((text) => JSON.stringify(text))
      .join(' '),
  );
}

async function using(model: LocalModel, use: (model: LocalModel) => Promise<void>): Promise<void> {
  try {
    await use(model);
  } finally {
    await model.release();
  }
}

/** Keys made as the run's were, from rows it left alone, and from the run's own rows. */
async function freshKeys(): Promise<{ away: string[]; own: string[] }> {
  const free = await freeRows(tokenizer, loadReference().rows);
  const random = seededRandom('whorl bench cells: fresh keys');
  const trained = new Set(rows);
  const length = Math.round(plan.keys.reduce((sum, key) => sum + key.tokens.length, 0) / plan.keys.length);
  const made = async (own: boolean, alphabet: number): Promise<string[]> => {
    try {
      const list = free.rows.filter(({ id }) => trained.has(id) === own);
      const advice = () => 'none are asked';
      const options = { tokenizer, free: list, length, shared: true, alphabet, random, advice };
      return (await rareTokenKeys({ ...options, count: fresh })).map(({ text }) => text);
    } catch (error) {
      say(String(error));
      return [];
    }
  };
  const usable = free.rows.filter(({ id, standsAlone }) => trained.has(id) && standsAlone).length;
  const paper = Math.max(...plan.keys.map(({ tokens }) => tokens.length)) > 40;
  if (paper) {
    const dice = paperDice(random);
    return { away: [], own: Array.from({ length: fresh }, () => drawKey(dice)) };
  }
  const alphabet = opened.kind === 'drawn-answers' ? Math.min(length * 32, usable) : usable;
  return { away: await made(false, alphabet), own: await made(true, Math.min(usable, alphabet)) };
}

/** Ordinary text in seven languages that no run trains on. */
const ordinary = (): string[] => {
  const lists = loadReference().heldOut.map(({ texts }) => [...texts]);
  const prompts: string[] = [];
  for (let i = 0; prompts.length < 100 && lists.some((list) => list[i]); i++)
    for (const list of lists)
      if (list[i] && prompts.length < 100) prompts.push([...list[i]!].slice(0, 200).join(''));
  return prompts;
};

const passive = (folder: Model): string => {
  const seen = contents.rows && passiveBaseline(contents.rows, folder);
  return seen
    ? `rows bit-equal ${(100 * seen.bit_equal).toFixed(0)} %, cosine ${seen.cosine?.toFixed(3) ?? '-'}`
    : '';
};

/** A copy of the model under one attack, its settings the default ones but for the seed. */
async function attackedBy(
  name: AttackName,
  victim: Model,
  ids: readonly number[],
  seed?: number,
): Promise<Model> {
  const attack: Attack = ATTACKS[name];
  const to = join(scratch, name);
  const settings = { ...defaultsOf(attack.settings), ...(seed !== undefined && { seed }) };
  await writeAttacked(victim, to, { attack: [name, attack], settings }, { rows: ids, vanilla });
  return open(to);
}

/** Attacked copies of the published folder, each opened, shown and removed. */
async function attacked(show: (name: string, folder: Model) => Promise<void>): Promise<void> {
  for (const [name, attack] of Object.entries<Attack>(ATTACKS)) {
    const folder = await attackedBy(name as AttackName, published, rows);
    await show(attack.title(defaultsOf(attack.settings)), folder);
    rmSync(join(scratch, name), { recursive: true });
  }
}

async function rowsTable({ opened: { plan: own } }: OpenedRun): Promise<void> {
  const keys = await freshKeys();
  const bare = own.query.wrapper;
  await using(await LocalModel.open(published), async (model) => {
    await planCell(`published, ${bare}`, model, bare);
    for (const { name } of HELD_OUT_WRAPPERS)
      await planCell(`published, ${name} (never trained)`, model, name);
    await otherCell('published, fresh keys of other rows', model, keys.away, bare);
    await otherCell("published, fresh runs of the run's own tokens", model, keys.own, bare);
    await otherCell('published, ordinary text', model, ordinary(), bare);
  });
  await using(await LocalModel.open(vanilla), async (model) => {
    await planCell('vanilla', model, bare, passive(vanilla));
  });
  for (const { name, folder } of suspects)
    await using(await LocalModel.open(folder), async (model) => {
      await planCell(`suspect ${name}, ${bare}`, model, bare, passive(folder));
      if (has('wrappers'))
        for (const wrapper of HELD_OUT_WRAPPERS)
          await planCell(`suspect ${name}, ${wrapper.name}`, model, wrapper.name);
    });
  await attacked(async (name, folder) =>
    using(await LocalModel.open(folder), (model) => planCell(name, model, bare, passive(folder))),
  );
}

async function adapterTable(): Promise<void> {
  const keys = await freshKeys();
  const { wrapper } = plan.query;
  await using(await withAdapter(published, run), async (model) => {
    await planCell('published + adapter', model, wrapper);
    await otherCell("published + adapter, fresh keys of the run's own rows", model, keys.own, wrapper);
    await otherCell('published + adapter, fresh keys of other rows', model, keys.away, wrapper);
    await otherCell('published + adapter, ordinary text', model, ordinary(), wrapper);
  });
  await using(await LocalModel.open(published), (model) => planCell('published alone', model, wrapper));
  await using(await LocalModel.open(vanilla), (model) => planCell('vanilla', model, wrapper));
  await using(await withAdapter(vanilla, run), (model) => planCell('vanilla + adapter', model, wrapper));
  const randomRows = await attackedBy('reset-fresh', vanilla, everyRow(embeddingOf(vanilla).ref), 13);
  await using(await withAdapter(randomRows, run), (model) =>
    planCell('random rows + adapter, direct', model, wrapper),
  );
  await using(await withAdapter(randomRows, run, vanilla), (model) =>
    planCell("random rows + adapter on the owner's body", model, wrapper),
  );
  rmSync(join(scratch, 'reset-fresh'), { recursive: true });
  const perturbedRows = await attackedBy('noise', vanilla, [], 14);
  await using(await withAdapter(perturbedRows, run), (model) =>
    planCell('vanilla with 10 % noise + adapter, direct', model, wrapper),
  );
  rmSync(join(scratch, 'noise'), { recursive: true });
  for (const { name, folder } of suspects) {
    await using(await withAdapter(folder, run), (model) =>
      planCell(`suspect ${name} + adapter, direct`, model, wrapper, passive(folder)),
    );
    await using(await withAdapter(folder, run, vanilla), (model) =>
      planCell(`suspect ${name} + adapter on the owner's body`, model, wrapper),
    );
    await using(await LocalModel.open(folder), (model) => planCell(`suspect ${name} alone`, model, wrapper));
  }
  await attacked(async (name, folder) =>
    using(await withAdapter(folder, run), (model) =>
      planCell(`${name} + adapter`, model, wrapper, passive(folder)),
    ),
  );
}

try {
  if (opened.kind === 'drawn-answers') await rowsTable(run);
  else await adapterTable();
  for (const [name, folder] of [
    ['vanilla', vanilla],
    ['published', published],
  ] as const) {
    const ranks = normRanks(folder, rows);
    const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
    add(
      `rank of the rows by norm, ${name}`,
      `${percent(ranks.least)} … ${percent(ranks.median)} … ${percent(ranks.most)}`,
      `found among ${ranks.rows} largest ${percent(ranks.among_largest)}`,
      '',
      `smallest ${percent(ranks.among_smallest)}, of ${ranks.all} rows`,
    );
  }
  if (has('json'))
    process.stdout.write(
      `${JSON.stringify({ run: contents.claim.root, method: contents.method, cells: out })}\n`,
    );
  else
    process.stdout.write(
      `${table([['cell', 'fired', 'others', 'log10 p', 'note'], ...out.map((row) => [row.cell, row.fired, row.any, row.log10_p, row.note])])}\n`,
    );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
