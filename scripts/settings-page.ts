// Writes docs/settings.md and assets/settings.schema.json (for editors of YAML) from the schemas of methods and fine-tuning.
// usage: tsx scripts/settings-page.ts [--check]; with --check nothing is written, and an outdated file fails.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Kind, rangeWords, type Schema, type Setting, settingsIn } from '../src/base/setting.ts';
import { FULL, LORA } from '../src/finetune/settings.ts';
import { PAPER_WORDS, SCHEMAS, SETTINGS } from '../src/fingerprint/settings.ts';
import { PREFIX } from '../src/pipeline/user-model.ts';

const ROOT = join(import.meta.dirname, '..');

const code = (value: unknown): string => `\`${String(value)}\``;

type Owner = readonly [name: string, setting: Setting];

/** Who has a setting of each name, methods in the order of their record. */
function ownersOf(schemas: Readonly<Record<string, Schema>>): Map<string, Owner[]> {
  const owners = new Map<string, Owner[]>(Object.keys(SETTINGS).map((key) => [key, []]));
  for (const [method, schema] of Object.entries(schemas))
    for (const [key, setting] of settingsIn(schema))
      owners.set(key, [...(owners.get(key) ?? []), [method, setting]]);
  return owners;
}

/** One value where all methods agree, else each value with the methods that have it. */
function defaultWords(owners: readonly Owner[], quoted: (value: unknown) => string): string {
  const by = new Map<string, string[]>();
  for (const [name, { default: value }] of owners)
    by.set(String(value), [...(by.get(String(value)) ?? []), name]);
  return [...by].map(([value, names]) => `${names.join(', ')}: ${quoted(value)}`).join('; ');
}

const unitOf = (kind: Kind): string | undefined => (kind.kind === 'number' ? kind.unit : undefined);

const values = (kind: Kind): string => {
  const unit = unitOf(kind);
  return rangeWords(kind) + (unit === undefined ? '' : ` (${unit})`);
};

const METHODS = ownersOf(SCHEMAS);

const methodTable = (): string[] =>
  [...METHODS].map(
    ([key, owners]) =>
      `| ${code(key)} | ${owners[0]![1].words} | ${defaultWords(owners, code)} | ${values(owners[0]![1])} |`,
  );

const table = (settings: readonly [string, Setting][]): string[] =>
  settings.map(
    ([key, setting]) => `| ${code(key)} | ${setting.words} | ${code(setting.default)} | ${values(setting)} |`,
  );

const tuningTable = (): string[] => table(settingsIn(FULL));
const loraTable = (): string[] => table(settingsIn(LORA).filter(([key]) => !Object.hasOwn(FULL, key)));

const page = `<!-- written by scripts/settings-page.ts (npm run settings): do not edit -->
# Settings

All that a method does is a setting with a default. Give others as \`key=value\` after the flags, or in a YAML file
(\`--settings FILE\`), whose entries the command line goes over:

\`\`\`sh
whorl fingerprint --model M --out RUN trained=48 key_length=6 lr=0.02
whorl fingerprint --model M --out RUN --method adapter pool=800 dim=32
\`\`\`

In an editor with a YAML language server the first line \`# yaml-language-server: $schema=PATH\`, with the path of
\`node_modules/whorl/assets/settings.schema.json\`, shows meanings and marks what is wrong. One method's settings alone are at
\`#/$defs/METHOD\` of that file.

An unknown name is refused, and the nearest known one is named. A value out of its range is refused before anything is opened.
\`assets/registry.yaml\` has other defaults for the ten decoders of the paper, by their hub ids.

Two words of the table: a **cell** is a question of the kind "who is asked what, and must it fire?". The **gate** is those cells
that must hold before training may end.

## \`whorl fingerprint\`

| setting | meaning | default | values |
|---|---|---|---|
${methodTable().join('\n')}

\`--seed TEXT\` is no setting. It repeats a run bit for bit on the same machine. The text is stretched by scrypt (half a second and
128 MB for each guess), but whoever knows or guesses it knows keys, answers and draw. Leave it out for a model that matters: then
the seed is 256 bits of the platform's generator.

## \`whorl finetune\`

In \`whorl pipeline\` the same names begin with \`alpaca.\`, as in \`alpaca.lr=5e-5\`.

| setting | meaning | default | values |
|---|---|---|---|
${tuningTable().join('\n')}

With \`--lora\` also:

| setting | meaning | default | values |
|---|---|---|---|
${loraTable().join('\n')}
`;

function property(kind: Kind, more: string): Record<string, unknown> {
  const unit = unitOf(kind);
  const description = `${kind.words}${unit === undefined ? '' : ` (${unit})`}. ${more}`;
  if (kind.kind === 'flag') return { type: 'boolean', description };
  if (kind.kind === 'text') return { type: 'string', description };
  if (kind.kind === 'choice') return { enum: kind.choices, description };
  const { least, most, open } = kind;
  return {
    type: kind.whole ? 'integer' : 'number',
    ...(open === 'neither' ? { minimum: least } : { exclusiveMinimum: least }),
    ...(open === 'both' ? { exclusiveMaximum: most } : { maximum: most }),
    description,
  };
}

const methodProperties = [...METHODS].map(([key, owners]): [string, unknown] => [
  key,
  property(owners[0]![1], `Default: ${defaultWords(owners, String)}.`),
]);

/** What the pipeline's own file may hold beside the method's settings. */
const pipelineProperties: [string, unknown][] = [
  ...Object.entries(PAPER_WORDS).map(([key, kind]): [string, unknown] => [
    key,
    property(kind, 'whorl pipeline alone.'),
  ]),
  ...settingsIn(FULL).map(([key, setting]): [string, unknown] => [
    PREFIX + key,
    property(setting, `Of the user's fine-tuning in whorl pipeline. Default: ${setting.default}.`),
  ]),
];

/** Of one method alone; kinds are those of all. */
const definition = (schema: Schema) => ({
  type: 'object',
  properties: Object.fromEntries(
    settingsIn(schema).map(([key, setting]) => [
      key,
      { $ref: `#/properties/${key}`, default: setting.default },
    ]),
  ),
  additionalProperties: false,
});

const schema = `${JSON.stringify(
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Settings of whorl fingerprint and whorl pipeline (--settings FILE)',
    type: 'object',
    properties: Object.fromEntries([...methodProperties, ...pipelineProperties]),
    additionalProperties: false,
    $defs: Object.fromEntries(Object.entries(SCHEMAS).map(([name, one]) => [name, definition(one)])),
  },
  null,
  2,
)}\n`;

const FILES = { 'docs/settings.md': page, 'assets/settings.schema.json': schema };

for (const [name, text] of Object.entries(FILES)) {
  const path = join(ROOT, name);
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    process.stderr.write(`${name} is out of date: npm run settings\n`);
    process.exitCode = 1;
  }
}
