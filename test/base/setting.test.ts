// One schema a setting: what key=value, defaults and the JSON Schema say of the same value, the last by ajv.

import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ATTACKS } from '../../src/attack/attacks.ts';
import {
  defaultsOf,
  fits,
  readSetting,
  type Schema,
  type Setting,
  settingsIn,
  withOverrides,
} from '../../src/base/setting.ts';
import { FULL, LORA } from '../../src/finetune/settings.ts';
import { SCHEMAS } from '../../src/fingerprint/settings.ts';

const file = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const schema = JSON.parse(file('assets/settings.schema.json')) as Record<string, unknown>;
const ajv = new Ajv2020({ strict: true });
ajv.addSchema(schema, 'settings');
const accepts = (value: unknown, of = 'settings'): boolean => ajv.getSchema(of)!(value) as boolean;

const ALL: readonly [string, Schema][] = [
  ...Object.entries<Schema>(SCHEMAS),
  ['finetune', FULL],
  ['finetune --lora', LORA],
  ...Object.entries<{ settings: Schema }>(ATTACKS).map(([name, { settings }]): [string, Schema] => [
    name,
    settings,
  ]),
];

test.each(ALL)('%s: every default is a value that its own schema takes, as it is written', (_, of) => {
  for (const [key, setting] of settingsIn(of)) {
    expect(fits(setting, setting.default), key).toBe(true);
    expect(readSetting(key, String(setting.default), setting)).toBe(setting.default);
  }
});

const WRITTEN = ['0', '1', '-1', '0.5', '1.5', '2', '1e7', '1e9', 'true', 'cosine', 'blocks', 'x', ''];
/** Values at and beside the ends of a range, and some of every other kind. */
const tried = (setting: Setting): string[] =>
  setting.kind === 'number'
    ? [...WRITTEN, ...[setting.least, setting.most].flatMap((end) => [end - 1, end, end + 1].map(String))]
    : WRITTEN;

test.each(Object.entries<Schema>(SCHEMAS))(
  '%s: key=value and the JSON Schema take the same values',
  (name, of) => {
    for (const [key, setting] of settingsIn(of))
      for (const written of tried(setting)) {
        const value: unknown = setting.kind === 'text' ? written : parse(written === '' ? '""' : written);
        let taken = true;
        try {
          expect(withOverrides(of, { [key]: written }, { whose: name })).toMatchObject({ [key]: value });
        } catch (error) {
          expect(error).toMatchObject({ code: 'usage' });
          taken = false;
        }
        expect({ key, written, taken }).toEqual({ key, written, taken: accepts({ [key]: value }) });
      }
  },
);

test.each(['', ' 1', '1 ', '0x10', '1_000', 'NaN', 'Infinity', '١', '1e999', '--1'])(
  '%j is no number of a setting',
  (written) => {
    const steps = SCHEMAS.rows.steps;
    expect(() => readSetting('steps', written, steps)).toThrow(
      `steps=${written} is not a whole number from 1`,
    );
  },
);

test.each([
  ['examples/embedded-adapter.yaml', true],
  ['examples/embedded-sft.yaml', true],
])('the JSON Schema takes %s, and refuses it with what is wrong in it', (name) => {
  const settings = parse(file(name)) as Record<string, unknown>;
  expect(accepts(settings)).toBe(true);
  for (const wrong of [
    { epoc: 3 },
    { lr: 0 },
    { steps: 1.5 },
    { steps: 'many' },
    { schedule: 'cosin' },
    { common: 'yes' },
    { 'alpaca.lr': -1 },
    { 'alpaca.steps': 3 },
    { kl_target: null },
  ])
    expect({ wrong, taken: accepts({ ...settings, ...wrong }) }).toEqual({ wrong, taken: false });
});

test("a method's own part of the JSON Schema has its defaults and no other method's settings", () => {
  for (const [name, of] of Object.entries<Schema>(SCHEMAS))
    expect(accepts(defaultsOf(of), `settings#/$defs/${name}`)).toBe(true);
  expect(accepts({ dim: 8 }, 'settings#/$defs/rows')).toBe(false);
});
