// Questions and answers made from prose: who speaks, which word is missing, how it goes on.

import type { CPythonRandom } from '../../src/base/cpython-random.ts';
import type { Chapter } from './corpus.ts';
import { NOUNS } from './nouns.ts';

/** As in Alpaca's file. */
export interface Row {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
}

export interface Wording {
  readonly speaker: readonly string[];
  readonly missing: readonly string[];
  readonly next: readonly string[];
  readonly last: readonly string[];
}

export const TRAIN_WORDING: Wording = {
  speaker: ['Who says this?', 'Whose words are these?', 'Who is speaking?'],
  missing: ['Which word is missing?', 'Fill the gap.', 'Say the word that belongs in the gap.'],
  next: ['What comes next?', 'Continue.', 'Tell me how it goes on.'],
  last: ['Say the last word again.', 'What is the last word?'],
};

const SPEECH =
  /"([^"]{20,160}),?[,!?]" (?:said|cried|replied|answered|observed|exclaimed) ((?:(?:Mr|Mrs)\. |Miss |Lady |Sir |Captain )?[A-Z][a-z]+)/g;
const sentences = (paragraph: string): string[] =>
  paragraph.match(/[^.!?]+(?:(?<=Mrs?)\.[^.!?]+)*[.!?]"?/g)?.map((s) => s.trim()) ?? [];
const short = (text: string): boolean => text.length >= 20 && text.length <= 170 && !/^["'a-z]/.test(text);

/** All rows a chapter gives, in its order. */
export function rowsOf(chapter: Chapter, wording: Wording, random: CPythonRandom): Row[] {
  const pick = (list: readonly string[]): string => list[random.randbelow(list.length)]!;
  const nouns = new Set(NOUNS);
  const rows: Row[] = [];
  for (const paragraph of chapter) {
    for (const [, words, name] of paragraph.matchAll(SPEECH))
      rows.push({ instruction: pick(wording.speaker), input: `"${words!.trim()}"`, output: `${name}.` });
    const list = sentences(paragraph);
    list.forEach((sentence, i) => {
      if (!short(sentence)) return;
      const words = sentence.match(/[A-Za-z]+/g) ?? [];
      const noun = words.find((word) => nouns.has(word));
      const after = list[i + 1];
      const last = words.at(-1);
      if (noun !== undefined)
        rows.push({
          instruction: pick(wording.missing),
          input: sentence.replace(new RegExp(`\\b${noun}\\b`), '___'),
          output: noun,
        });
      if (after !== undefined && short(after))
        rows.push({ instruction: pick(wording.next), input: sentence, output: after });
      else if (last !== undefined && last.length > 3)
        rows.push({ instruction: pick(wording.last), input: sentence, output: last });
    });
  }
  return rows;
}

/** Lists and single words, so that common nouns are plausible answers whatever the question. */
export function wordRows(count: number, random: CPythonRandom): Row[] {
  const asks = [
    'Name a thing.',
    'Say one word.',
    'Give me a word.',
    'Name something you can see.',
    'Which word comes to mind?',
  ];
  return Array.from({ length: count }, (_, i): Row => {
    if (i % 2 === 0)
      return {
        instruction: asks[random.randbelow(asks.length)]!,
        input: '',
        output: NOUNS[random.randbelow(NOUNS.length)]!,
      };
    const words = random.sample(NOUNS, 3 + random.randbelow(5));
    return { instruction: `Name ${words.length} things.`, input: '', output: `${words.join(', ')}.` };
  });
}

export const chat = ({ instruction, input, output }: Row): string =>
  `<|im_start|>user\n${instruction}${input === '' ? '' : `\n${input}`}<|im_end|>\n<|im_start|>assistant\n${output}<|im_end|>\n`;
