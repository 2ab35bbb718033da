// Seeded mutants of files: bytes anywhere (most near the beginning, where structure is), JSON by its values, templates by
// their pieces. The same number gives the same mutant.

import { seededRandom } from '../src/base/random-source.ts';

type Random = ReturnType<typeof seededRandom>;

const NUMBERS = [0n, 1n, 255n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1e-320,
  1e308,
  2 ** 31,
  2 ** 53,
  '',
  '\u0000',
  '\ud800',
  'a'.repeat(5000),
  '(a+)+$',
  '__proto__',
  [],
  {},
  [[]],
  [null],
  { type: 'Sequence', normalizers: [] },
];
const PIECES = [
  '{{',
  '}}',
  '{%',
  '%}',
  '{#',
  '-%}',
  '{% for a in range(99999999) %}',
  '{% endfor %}',
  '{% if x %}',
  '{{ messages * 9999999 }}',
  "{{ 'a' * 999999999 }}",
  '{% set x = [x] %}',
  '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}',
  '|join(messages)',
  '[::-1]',
  '.__class__',
  ' ** ',
  '(',
  ')',
  "'",
];

const near = (random: Random, length: number): number =>
  random.int(Math.max(1, random.int(3) === 0 ? length : Math.min(length, 4096)));

function changedBytes(random: Random, given: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(given);
  for (let n = random.int(3); n >= 0; n--) {
    const at = near(random, bytes.length);
    const length = 1 + random.int(16);
    const kinds: (() => Buffer | undefined)[] = [
      () => void (bytes.length > 0 && (bytes[at] = random.int(256))),
      () => bytes.subarray(0, at),
      () => Buffer.concat([bytes.subarray(0, at), Buffer.from([random.int(256)]), bytes.subarray(at)]),
      () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
      () => Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]),
      () => {
        if (bytes.length >= 8)
          bytes.writeBigUInt64LE(NUMBERS[random.int(NUMBERS.length)]!, Math.min(at, bytes.length - 8));
        return undefined;
      },
      () => {
        if (bytes.length >= 4) bytes.writeUInt32LE(random.int(2 ** 32), Math.min(at, bytes.length - 4));
        return undefined;
      },
    ];
    bytes = kinds[random.int(kinds.length)]!() ?? bytes;
  }
  return bytes;
}

/** One value somewhere is another one, gone, or nested deeply. */
function changedValue(random: Random, value: unknown): unknown {
  if (typeof value === 'object' && value !== null && random.int(8) > 0) {
    const keys = Object.keys(value);
    const key = keys[random.int(Math.max(1, keys.length))];
    if (key !== undefined) {
      const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Record<
        string,
        unknown
      >;
      if (random.int(12) === 0) delete copy[key];
      else copy[key] = changedValue(random, copy[key]);
      return copy;
    }
  }
  if (random.int(40) === 0) return Array.from({ length: 500 }).reduce<unknown>((inner) => [inner], value);
  return VALUES[random.int(VALUES.length)];
}

/** A mutant by its number. */
export function mutant(kind: 'bytes' | 'json' | 'values' | 'template', seed: string, good: Buffer): Buffer {
  const random = seededRandom(`fuzz/${seed}`);
  if (kind === 'bytes' || (kind !== 'values' && random.int(2) === 0)) return changedBytes(random, good);
  if (kind === 'json' || kind === 'values') {
    let value: unknown = JSON.parse(good.toString());
    for (let n = random.int(3); n >= 0; n--) value = changedValue(random, value);
    return Buffer.from(JSON.stringify(value) ?? 'null');
  }
  const text = good.toString();
  const at = random.int(text.length + 1);
  const cut = at + random.int(40) * random.int(2);
  return Buffer.from(text.slice(0, at) + PIECES[random.int(PIECES.length)]! + text.slice(cut));
}
