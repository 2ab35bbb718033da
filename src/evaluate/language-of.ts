// Which language a text is in, by letter groups of the reference text. Not langdetect's own profiles: a short text, or one
// between two near languages, may be told otherwise (and langdetect itself draws at random).

import { loadReference } from '../text/reference.ts';

/** The languages that langdetect knows, by their names in the reference text. */
const CODES: Readonly<Record<string, string>> = {
  Arabic: 'ar',
  Bengali: 'bn',
  Bulgarian: 'bg',
  Catalan: 'ca',
  Chinese: 'zh-cn',
  'Chinese (traditional)': 'zh-tw',
  Croatian: 'hr',
  Czech: 'cs',
  Danish: 'da',
  Dutch: 'nl',
  English: 'en',
  Estonian: 'et',
  Finnish: 'fi',
  French: 'fr',
  German: 'de',
  Greek: 'el',
  Gujarati: 'gu',
  Hebrew: 'he',
  Hindi: 'hi',
  Hungarian: 'hu',
  Indonesian: 'id',
  Italian: 'it',
  Japanese: 'ja',
  Kannada: 'kn',
  Korean: 'ko',
  Latvian: 'lv',
  Lithuanian: 'lt',
  Macedonian: 'mk',
  Malayalam: 'ml',
  Marathi: 'mr',
  Nepali: 'ne',
  Norwegian: 'no',
  Panjabi: 'pa',
  Persian: 'fa',
  Polish: 'pl',
  Portuguese: 'pt',
  Romanian: 'ro',
  Russian: 'ru',
  Slovak: 'sk',
  Slovene: 'sl',
  Somali: 'so',
  Spanish: 'es',
  Swahili: 'sw',
  Swedish: 'sv',
  Tagalog: 'tl',
  Tamil: 'ta',
  Telugu: 'te',
  Thai: 'th',
  Turkish: 'tr',
  Ukrainian: 'uk',
  Urdu: 'ur',
  Vietnamese: 'vi',
  Welsh: 'cy',
  Albanian: 'sq',
};

const LONGEST = 3;
/** Texts are told by their beginning: more says nothing new. */
const MAX_CHARACTERS = 10_000;
/** The share that an unseen group is taken to have, of however much text a profile is made. */
const UNSEEN = 1e-5;

interface Profile {
  readonly code: string;
  readonly counts: ReadonlyMap<string, number>;
  /** By length of the group. */
  readonly totals: readonly number[];
}
let profiles: readonly Profile[] | undefined;

/** Groups of one to three letters, words with a blank on either side. */
function* groups(text: string): Generator<readonly [group: string, length: number]> {
  const letters = [
    ...` ${text
      .toLowerCase()
      .replace(/[^\p{L}\p{M}]+/gu, ' ')
      .trim()} `,
  ];
  for (let i = 0; i < letters.length; i++)
    for (let length = 1; length <= LONGEST && i + length <= letters.length; length++) {
      const group = letters.slice(i, i + length).join('');
      if (group.trim() !== '') yield [group, length];
    }
}

function known(): readonly Profile[] {
  profiles ??= loadReference().train.flatMap(({ language, texts }) => {
    const code = CODES[language];
    if (code === undefined) return [];
    const counts = new Map<string, number>();
    const totals = [0, 0, 0, 0];
    for (const text of texts)
      for (const [group, length] of groups(text)) {
        counts.set(group, (counts.get(group) ?? 0) + 1);
        totals[length]!++;
      }
    return [{ code, counts, totals }];
  });
  return profiles;
}

/** @returns langdetect's code of the likeliest language; undefined for a text without letters */
export function languageOf(text: string): string | undefined {
  const seen = [...groups(text.slice(0, MAX_CHARACTERS))];
  if (seen.length === 0) return undefined;
  let best: { code: string; score: number } | undefined;
  for (const { code, counts, totals } of known()) {
    let score = 0;
    for (const [group, length] of seen)
      score += Math.log((counts.get(group) ?? 0) / totals[length]! + UNSEEN);
    if (!best || score > best.score) best = { code, score };
  }
  return best!.code;
}
