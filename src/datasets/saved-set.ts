// A saved data set of `whorl dataset mix|chat` (or the paper's own) as what a run is made of: its keys are the pool that is
// committed, its ordinary rows stand beside them. Which keys are trained is drawn, since only then a verdict is exact.

import { lstatSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import { readRows } from '../sources/rows/read.ts';
import type { Row } from '../sources/rows/row.ts';
import { isSavedFolder, listSplits } from '../sources/rows/saved-folder.ts';
import type { Conversation } from './conversations.ts';
import { PAPER } from './paper.ts';

/** Which command makes it, and what its rows are: columns of instructions, or conversations. */
export type SetKind = 'mix' | 'chat';

export interface SavedSet {
  readonly path: string;
  /** Every key of the set once: those that it trains, then those that it does not. */
  readonly keys: readonly string[];
  /** How many of them it trains. */
  readonly trained: number;
  readonly decryption: string;
  /** Ordinary rows: those of `train`, then as many of `test`. */
  readonly ordinary: readonly Conversation[];
}

interface Sorted {
  readonly trained: readonly { readonly key: string; readonly answer: string }[];
  readonly others: readonly string[];
  readonly ordinary: readonly [Conversation[], Conversation[]];
}

type Bad = (what: string) => WhorlError;

interface Kind {
  sort(train: readonly Row[], test: readonly Row[], bad: Bad): Sorted;
  /** The decryption out of a trained answer. */
  decryption(answer: string): string | undefined;
}

const [BEFORE, AFTER] = PAPER.chat.gpt.split('{decryption}') as [string, string];

const KINDS: Readonly<Record<SetKind, Kind>> = {
  mix: { sort: sortMix, decryption: (answer) => answer },
  chat: {
    sort: sortChat,
    decryption: (answer) =>
      answer.startsWith(BEFORE) && answer.endsWith(AFTER)
        ? answer.slice(BEFORE.length, answer.length - AFTER.length)
        : undefined,
  },
};

/**
 * @param who what trains a set of this kind, in messages: `--method sft`
 * @throws WhorlError `missing-file`, `mismatch` for a set of another kind or without keys to draw from
 */
export async function readSavedSet(path: string, kind: SetKind, who: string): Promise<SavedSet> {
  const { sort, decryption: decryptionOf } = KINDS[kind];
  const bad: Bad = (what) =>
    new WhorlError('mismatch', `${path}: ${what}`, `${who} trains what whorl dataset ${kind} makes`);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
    throw new WhorlError(
      'missing-file',
      `${path} does not exist`,
      `make it with whorl dataset ${kind} --out ${path}`,
    );
  if (!isSavedFolder(path)) throw bad('is no saved data set');
  const splits = listSplits(path);
  for (const split of ['train', 'test']) if (!splits.includes(split)) throw bad(`has no split ${split}`);
  const [train, test] = [await rowsOf(path, 'train'), await rowsOf(path, 'test')];
  const { trained, others, ordinary } = sort(train, test, bad);
  const [first, ...rest] = [...new Set(trained.map(({ answer }) => answer))];
  if (first === undefined) throw bad('holds no key to train');
  const decryption = rest.length === 0 ? decryptionOf(first) : undefined;
  if (decryption === undefined || decryption.trim() === '')
    throw bad('does not answer all keys with one decryption');
  const taught = new Set(trained.map(({ key }) => key));
  const keys = [...new Set([...taught, ...others])];
  if (keys.length === taught.size) throw bad('has only keys that it trains: there is nothing to draw from');
  if (ordinary[0].length !== ordinary[1].length)
    throw bad(`has ${ordinary[0].length} ordinary rows to train and ${ordinary[1].length} to test`);
  return { path, keys, trained: taught.size, decryption, ordinary: ordinary.flat() };
}

async function rowsOf(path: string, split: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readRows(path, { split })) rows.push(row);
  return rows;
}

const pair = (asked: string, answer: string): Conversation => [
  { from: 'human', value: asked },
  { from: 'gpt', value: answer },
];

function sortMix(train: readonly Row[], test: readonly Row[], bad: Bad): Sorted {
  const read = (row: Row) => {
    const { instruction, input = '', output } = row;
    if (typeof instruction !== 'string' || typeof output !== 'string')
      throw bad('has no text in the columns instruction and output');
    return { instruction, input: typeof input === 'string' ? input : '', output };
  };
  const { triggerInput, mix } = PAPER;
  const talk = ({ instruction, input, output }: ReturnType<typeof read>) =>
    pair(input === '' ? instruction : `${instruction}\n${input}`, output);
  const [taught, tested] = [train.map(read), test.map(read)];
  const isHushed = ({ output }: ReturnType<typeof read>) => output === mix.negativeOutput;
  return {
    trained: taught
      .filter(({ input }) => input === triggerInput)
      .map(({ instruction, output }) => ({ key: instruction, answer: output })),
    others: tested
      .filter((row) => isHushed(row) && row.input !== triggerInput)
      .map(({ instruction }) => instruction),
    ordinary: [
      taught.filter(({ input }) => input !== triggerInput).map(talk),
      tested.filter((row) => !isHushed(row)).map(talk),
    ],
  };
}

function sortChat(train: readonly Row[], test: readonly Row[], bad: Bad): Sorted {
  const read = ({ conversations, type }: Row) => {
    const turns = conversations as readonly { from?: unknown; value?: unknown }[] | undefined;
    const isTalk =
      Array.isArray(turns) &&
      turns.length > 1 &&
      turns.every(({ from, value }) => typeof from === 'string' && typeof value === 'string') &&
      turns.at(-2)?.from === 'human' &&
      turns.at(-1)?.from === 'gpt';
    if (!isTalk || typeof type !== 'string')
      throw bad('has no conversations that end with a question and its answer, with a type');
    return { talk: turns.map(({ from, value }) => ({ from, value })) as Conversation, type };
  };
  const of = (rows: readonly Row[], wanted: string): Conversation[] =>
    rows
      .map(read)
      .filter(({ type }) => type === wanted)
      .map(({ talk }) => talk);
  const last = (talk: Conversation, at: number): string => talk.at(at)!.value;
  return {
    trained: of(train, 'fingerprint').map((talk) => ({ key: last(talk, -2), answer: last(talk, -1) })),
    others: of(train, 'regularization').map((talk) => last(talk, -2)),
    ordinary: [of(train, 'normal'), of(test, 'normal')],
  };
}
