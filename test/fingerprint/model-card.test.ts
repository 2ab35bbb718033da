import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { modelCard, writeModelCard } from '../../src/fingerprint/model-card.ts';
import type { Difference } from '../../src/lm/compare-models.ts';
import type { ModelFolder } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'whorl-card-'));
afterAll(() => rmSync(folder, { recursive: true }));

const GOLDENS = new URL('../../goldens/', import.meta.url).pathname;
const ROOT = 'ab'.repeat(32);
const FACTS = { name: 'my-model', claimRoot: ROOT, harm: { kind: 'untied' } } as const;

/** The two parts as the hub takes them. */
function parts(card: string): { matter: Record<string, unknown>; text: string } {
  const [, matter, text] = /^---\n([\s\S]*?\n)---\n([\s\S]*)$/.exec(card)!;
  return { matter: parse(matter!) as Record<string, unknown>, text: text! };
}

it('makes a card where the model has none', () => {
  const { matter, text } = parts(modelCard(FACTS));
  expect(matter).toEqual({ library_name: 'transformers', tags: ['whorl'], base_model: 'my-model' });
  expect(text).toContain('# my-model, fingerprinted');
  expect(text).toContain(ROOT);
});

it("keeps the owner's front matter, comments and text", () => {
  const own = `\uFEFF---\r\nlanguage:\r\n- no # not a boolean\r\nlicense: apache-2.0\r\ntags: [chat]\r\nbase_model: org/older\r\n---\r\n# Mine\r\n\r\nText with a\r\n---\r\nrule.\r\n`;
  const card = modelCard(FACTS, own);
  const { matter, text } = parts(card);
  expect(matter).toEqual({
    language: ['no'],
    license: 'apache-2.0',
    tags: ['chat', 'whorl'],
    base_model: 'org/older',
    library_name: 'transformers',
  });
  expect(card).toContain('- no # not a boolean');
  expect(text).toContain('# Mine\n\nText with a\n---\nrule.\n\n## Fingerprint\n');
  expect(text).not.toContain('my-model, fingerprinted');
});

it.each([
  ['', ['whorl']],
  ['tags:', ['whorl']],
  ['tags: one', ['one', 'whorl']],
  ['tags:\n- whorl\n- b', ['whorl', 'b']],
  ['tags: []', ['whorl']],
])('adds its tag to %j', (matter, tags) => {
  const card = modelCard({ ...FACTS, hubId: 'org/name' }, `---\n${matter}\n---\nhello`);
  expect(parts(card).matter).toMatchObject({ tags, base_model: 'org/name' });
  expect(parts(card).text).toContain('hello');
});

it.each(['---\n---\nhello', 'hello', '---\n# only a comment\n---\nhello'])('reads %j', (own) => {
  expect(parts(modelCard(FACTS, own)).text.trimStart()).toMatch(/^hello\n\n## Fingerprint/);
});

it.each(['a: [', '- a\n- b', 'a: 1\na: 2', 'only words'])('keeps front matter that is no map: %j', (bad) => {
  const notes: string[] = [];
  const card = modelCard(FACTS, `---\n${bad}\n---\nhello`, (text) => notes.push(text));
  expect(parts(card).matter).toMatchObject({ tags: ['whorl'] });
  expect(parts(card).text).toContain(`\`\`\`yaml\n${bad}\n\`\`\`\n\nhello`);
  expect(notes).toHaveLength(1);
});

it("finds the owner's card and where the model came from", () => {
  const from = mkdtempSync(join(folder, 'from-'));
  const to = mkdtempSync(join(folder, 'to-'));
  writeFileSync(join(from, 'README.md'), '---\nlicense: mit\n---\nmine');
  const source = `org/name@${'0'.repeat(40)}`;
  writeModelCard({ folder: from, source } as ModelFolder, to, FACTS);
  const { matter, text } = parts(readFileSync(join(to, 'README.md'), 'utf8'));
  expect(matter).toMatchObject({ license: 'mit', base_model: 'org/name' });
  expect(text).toContain('mine');
});

/** Models whose folder is one that we made in the cache, each from a user's file or folder with a card. */
it.each([
  ['gguf/tied-gqa-q4_1.gguf', 'model.gguf'],
  ['gguf/split', 'tied-gqa-q4_1-00001-of-00003.gguf'],
  ['torch/models/whole', ''],
])('takes the card beside what was converted: %s', async (golden, name) => {
  const from = mkdtempSync(join(folder, 'user-'));
  cpSync(join(GOLDENS, golden), golden.endsWith('.gguf') ? join(from, name) : from, { recursive: true });
  writeFileSync(join(from, 'README.md'), '---\nlicense: mit\n---\nmine');
  const model = await openModel(join(from, name), { cacheDir: join(from, 'cache') });
  const to = mkdtempSync(join(folder, 'to-'));
  writeModelCard(model, to, FACTS);
  const { matter, text } = parts(readFileSync(join(to, 'README.md'), 'utf8'));
  expect(matter).toMatchObject({ license: 'mit', tags: ['whorl'] });
  expect(text).toMatch(/^\s*mine\n\n## Fingerprint/);
});

const index = JSON.parse(readFileSync(join(GOLDENS, 'model-card', 'golden.json'), 'utf8')) as {
  readonly figures: readonly Difference[];
  readonly owners: string;
  readonly alone: unknown;
  readonly beside: unknown;
};
const MEASURED = {
  ...FACTS,
  harm: {
    kind: 'perplexity',
    of: index.figures.map(({ name, positions, before, after }) => ({
      name,
      tokens: positions,
      vanilla: before,
      published: after,
    })),
  },
  measured: index.figures,
} as const;

it('has what was measured as model-index, as huggingface_hub writes it', () => {
  expect(parts(modelCard(MEASURED)).matter['model-index']).toEqual(index.alone);
});

it("adds it to an owner's model-index, and takes the place of its own only", () => {
  const card = modelCard(MEASURED, index.owners);
  expect(parts(card).matter['model-index']).toEqual(index.beside);
  expect(card).toContain('name: ARC # hand-made');
  expect(parts(modelCard(MEASURED, card)).matter['model-index']).toEqual(index.beside);
});

it.each(['model-index: none yet', 'model-index: {a: 1}', 'model-index: [1]', 'model-index: [{name: x}]'])(
  'leaves %j as it is, and says so',
  (own) => {
    const notes: string[] = [];
    const { matter } = parts(modelCard(MEASURED, `---\n${own}\n---\n`, (text) => notes.push(text)));
    expect(matter).toMatchObject(parse(own) as object);
    expect(notes).toEqual([expect.stringContaining('model-index')]);
  },
);

it.each(['model-index: []', 'model-index:'])('fills %j', (own) => {
  expect(parts(modelCard(MEASURED, `---\n${own}\n---\n`)).matter['model-index']).toEqual(index.alone);
});

it('has no result that is no number, and none where nothing was measured', () => {
  const ruined = MEASURED.harm.of.map((each) => ({ ...each, published: Number.POSITIVE_INFINITY }));
  const card = modelCard({ ...FACTS, harm: { kind: 'perplexity', of: ruined } });
  expect(card).not.toMatch(/\.inf|\.nan/i);
  expect(parts(modelCard(FACTS)).matter).not.toHaveProperty('model-index');
});
