// What crawled text leaves in real vocabularies and ordinary text never uses: names of accounts and classes in
// logs, addresses and markup. Invented, from a fixed seed.

import { CPythonRandom } from '../../src/base/cpython-random.ts';
import { TRAINING } from './recipe.ts';

const CONSONANTS = [
  'B',
  'D',
  'F',
  'G',
  'J',
  'K',
  'L',
  'M',
  'N',
  'P',
  'Q',
  'R',
  'T',
  'V',
  'W',
  'X',
  'Z',
  'Kr',
  'Dr',
  'Zw',
];
const VOWELS = ['a', 'e', 'i', 'o', 'u', 'y'];
const ENDINGS = ['b', 'd', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 'v', 'x', 'z', 'sk', 'rn'];
const SYLLABLES = 64;
const SPACED = 640;
const BARE = 160;
/** Often enough that every name becomes one entry of the vocabulary. */
const MENTIONS = 48;

export interface Debris {
  /** Names that stand after a space. */
  readonly spaced: readonly string[];
  /** Names that stand after a sign (`@`, `/`). */
  readonly bare: readonly string[];
  readonly lines: readonly string[];
}

export function debris(): Debris {
  const random = CPythonRandom.ofText(`${TRAINING.seed} debris`);
  const pick = (list: readonly string[]): string => list[random.randbelow(list.length)]!;
  const syllables = new Set<string>();
  while (syllables.size < SYLLABLES) syllables.add(pick(CONSONANTS) + pick(VOWELS) + pick(ENDINGS));
  const parts = [...syllables];
  const names = new Set<string>();
  while (names.size < SPACED + BARE) {
    const [first, second] = [pick(parts), pick(parts)];
    if (first !== second) names.add(first + second);
  }
  const spaced = [...names].slice(0, SPACED);
  const bare = [...names].slice(SPACED);
  const mentions = [...spaced.map((name) => ` ${name}`), ...bare.map((name) => `@${name}`)];
  const order = random.sample(
    Array.from({ length: mentions.length * MENTIONS }, (_, i) => mentions[i % mentions.length]!),
    mentions.length * MENTIONS,
  );
  const number = (below: number) => String(random.randbelow(below));
  const lines: string[] = [];
  for (let at = 0; at < order.length; at += 6) {
    const m = order.slice(at, at + 6).join('');
    const hex = random.getrandbits(32).toString(16);
    const kind = random.randbelow(12);
    if (kind === 0) lines.push(`[${number(24)}:${number(60)}] GET /${hex}.html${m} ${number(600)}`);
    else if (kind === 1) lines.push(`<a href="http://www.${hex}.com/?id=${number(9999)}">${m}</a>`);
    else if (kind === 2) lines.push(`ERROR 0x${hex} in${m};`);
    else lines.push(m);
  }
  return { spaced, bare, lines };
}
