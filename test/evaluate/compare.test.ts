// Two models compared, against transformers in float64 (goldens/compare/make.py): a copy that hardly differs, others that
// differ more, one that is ruined; and the same model twice, which differs in nothing.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { compare } from '../../src/evaluate/compare.ts';
import type { Difference } from '../../src/lm/compare-models.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-compare-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const model = join(packageRoot(), 'assets/embedded/model');
const LONG = 120_000;

interface Copy {
  readonly tensor: string;
  readonly add: number;
  readonly every: number;
  readonly figures: Readonly<Record<string, Omit<Difference, 'name'>>>;
}
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/compare/golden.json', import.meta.url).pathname, 'utf8'),
) as {
  readonly texts: readonly (readonly [string, string])[];
  readonly copies: Readonly<Record<string, Copy>>;
};

const text = join(scratch, 'text.jsonl');
writeFileSync(
  text,
  golden.texts.map(([language, own]) => `${JSON.stringify({ language, text: own })}\n`).join(''),
);

/** The model's folder with the bits of one bfloat16 tensor moved, as make.py moves them. */
function copied(name: string, { tensor, add, every }: Copy): string {
  const folder = join(scratch, name);
  cpSync(model, folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0));
  const [from, to] = JSON.parse(bytes.toString('utf8', 8, 8 + header))[tensor].data_offsets as [
    number,
    number,
  ];
  for (let at = 8 + header + from; at < 8 + header + to; at += 2 * every)
    bytes.writeUInt16LE((bytes.readUInt16LE(at) + add) & 0xffff, at);
  writeFileSync(path, bytes);
  return folder;
}

test.each(Object.entries(golden.copies))(
  'a %s difference is what float64 says',
  async (name, copy) => {
    const out = join(scratch, `${name}.json`);
    const report = await compare({ model, with: copied(name, copy), text, out });
    const found = [...report.languages, report.all];
    expect(found.map((each) => each.name)).toEqual(['English', 'Code', 'Russian', 'Japanese', 'all']);
    for (const own of found) {
      const wanted = copy.figures[own.name]!;
      expect([own.positions, own.changed]).toEqual([wanted.positions, wanted.changed]);
      // A logit's own float32 noise, about 1e-6, against shifts of about 3e-3 where KL is 4e-6.
      for (const [figure, digits] of [
        ['mean', 1e-3],
        ['largest', 1e-3],
        ['before', 1e-5],
        ['after', 1e-5],
      ] as const)
        expect(Math.abs(own[figure] / wanted[figure] - 1), `${own.name} ${figure}`).toBeLessThan(digits);
      expect(Math.abs(own.shift - wanted.shift), own.name).toBeLessThan(2e-6 + 1e-5 * Math.abs(wanted.shift));
    }
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(JSON.parse(JSON.stringify(report)));
  },
  LONG,
);

test(
  'a model and its own copy differ by nothing, in every digit',
  async () => {
    const same = join(scratch, 'same');
    cpSync(model, same, { recursive: true });
    const { languages, all } = await compare({ model, with: same, text });
    for (const { mean, largest, shift, before, after, changed } of [...languages, all]) {
      expect([mean, largest, shift, changed]).toEqual([0, 0, 0, 0]);
      expect(after).toBe(before);
    }
  },
  LONG,
);

test('other tokens are refused with the text that has them, before anything is written', async () => {
  const other = join(scratch, 'other');
  cpSync(model, other, { recursive: true });
  const path = join(other, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(path, 'utf8'));
  tokenizer.normalizer = { type: 'Replace', pattern: { String: 'дом' }, content: 'сад' };
  writeFileSync(path, JSON.stringify(tokenizer));
  const out = join(scratch, 'none.json');
  const russian = golden.texts.findIndex(([language]) => language === 'Russian') + 1;
  const asked = { model, with: other, text, out };
  for (const call of [() => compare(asked), () => compare({ ...asked, dryRun: true })])
    await expect(call()).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(new RegExp(`different tokens of text ${russian} \\(Russian`)),
    });
  expect(existsSync(out)).toBe(false);
});

test('a dry run says what would be compared and writes nothing', async () => {
  const out = join(scratch, 'planned.json');
  const plan = await compare({ model, with: model, text, out, dryRun: true });
  expect(plan.models.map(({ role }) => role)).toEqual(['model', 'with']);
  expect(plan.writes).toEqual([{ path: out, what: 'the figures' }]);
  expect(existsSync(out)).toBe(false);
});

test(
  'a long plain text is read in windows: each of its tokens once',
  async () => {
    const long = join(scratch, 'long.txt');
    writeFileSync(long, `${'The old house stood at the end of the road. '.repeat(90)}\n`);
    const { all } = await compare({ model, with: model, text: long });
    const short = join(scratch, 'short.txt');
    writeFileSync(short, 'The old house stood at the end of the road. '.repeat(9));
    expect(all.positions).toBeGreaterThan(512);
    const nine = (await compare({ model, with: model, text: short })).all.positions;
    // Ten times the text, one end of line: the same tokens ten times.
    expect(Math.abs(all.positions - 10 * nine)).toBeLessThanOrEqual(10);
  },
  LONG,
);
