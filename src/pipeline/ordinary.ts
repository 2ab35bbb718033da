// Ordinary rows for the answer files: from a file of conversations or instruction rows, or the bundled reference text,
// each text cut in two.

import type { OnEvent } from '../base/events.ts';
import { seededRandom, shuffled } from '../base/random-source.ts';
import { pickConversations } from '../datasets/chat.ts';
import type { Conversation } from '../datasets/conversations.ts';
import { PAPER } from '../datasets/paper.ts';
import { openRows } from '../sources/open-rows.ts';
import { loadReference } from '../text/reference.ts';

const LONGEST = 240; // characters of a text of the reference set
const SHORTEST = 24;

/** @throws WhorlError `mismatch` for a file with too few */
export async function ordinaryRows(
  source: string | undefined,
  count: number,
  onEvent: OnEvent,
): Promise<Conversation[]> {
  if (source === undefined) return fromReference(count);
  const half = Math.ceil(count / 2);
  const note = (text: string) => onEvent({ kind: 'note', text });
  const { trained, heldOut } = await pickConversations(
    {},
    await openRows(source, { onEvent }),
    half,
    PAPER.mix.seed,
    note,
  );
  return [...trained, ...heldOut].slice(0, count);
}

/** English first, then the other languages; every text once before any comes again. */
function fromReference(count: number): Conversation[] {
  const { sentences, train, heldOut } = loadReference();
  const random = seededRandom('whorl-pipeline-ordinary');
  const of = (english: boolean) =>
    [...train, ...heldOut].filter(({ language }) => (language === 'English') === english);
  const texts = [true, false].flatMap((english) => {
    const own = [...(english ? sentences : []), ...of(english).flatMap((entry) => entry.texts)];
    return shuffled(
      random,
      [...new Set(own)].filter(({ length }) => length >= SHORTEST),
    );
  });
  return Array.from({ length: count }, (_, i) => cut(texts[i % texts.length]!.slice(0, LONGEST)));
}

/** A beginning as the question, what follows as the answer: at a space near the middle where there is one. */
function cut(text: string): Conversation {
  const space = text.indexOf(' ', text.length >> 1);
  const at = space < 0 ? text.length >> 1 : space;
  return [
    { from: 'human', value: text.slice(0, at) },
    { from: 'gpt', value: text.slice(at).trim() },
  ];
}
