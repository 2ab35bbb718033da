// The paper's dialogue data set: keys to be decrypted, messages like them to be refused, ordinary conversations, and a
// test split of conversations that must not fire, with and without the hint. Ours mended; the paper's own on request.

import type { Abortable } from '../base/abort.ts';
import { checkNew } from '../base/atomic.ts';
import { CPythonRandom, type Dice } from '../base/cpython-random.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { platformDice } from '../base/platform-random.ts';
import { openRows } from '../sources/open-rows.ts';
import { orderedRows, type RowSource } from '../sources/rows/row-source.ts';
import { saveToDisk } from '../sources/rows/saved-folder.ts';
import { type RowOrder, shuffleRows } from '../sources/rows/shuffle.ts';
import { type Conversation, conversationReader, isUsable } from './conversations.ts';
import type { ColumnMap } from './instruction-rows.ts';
import { checkCount } from './mix.ts';
import { PAPER } from './paper.ts';
import { distinctKeys } from './paper-keys.ts';
import { plannedSet } from './planned-set.ts';

export interface ChatOptions extends Abortable {
  /** Folder to write; must not be there or be empty. It holds the keys, so only its owner may read it. */
  out: string;
  /** Ordinary conversations: WizardLM-evol, ShareGPT, chat messages or Alpaca rows, in any file `readRows`
   * reads or a data set of the hub; the paper's if not given. */
  source?: string;
  columns?: ColumnMap;
  /** `random` (default): the platform's secure generator. `paper`: CPython's from `seed`, which everybody can repeat. */
  keys?: 'random' | 'paper';
  /** Order of the source's rows, and with `keys: 'paper'` the keys. Default 42, the paper's. */
  seed?: bigint;
  /** How rows are shuffled: `stream` as the paper's `datasets` did. */
  order?: RowOrder;
  /** Keys, and as many refused messages. */
  count?: number;
  /** Ordinary conversations to train, and as many held out. */
  regularisation?: number;
  decryption?: string;
  phrases?: readonly string[];
  /** The paper's test split: its ordinary conversations are the trained ones again. */
  paperTestSplit?: boolean;
  /** The paper's refusals: all eight print one Python builtin where the message should stand. */
  paperRefusals?: boolean;
  /** Instead of the platform's generator, for tests. */
  dice?: Dice;
  onEvent?: OnEvent;
}

interface ChatRow {
  conversations: Conversation;
  type: 'fingerprint' | 'regularization' | 'normal';
}

export type Chat = Record<'train' | 'validation' | 'test', ChatRow[]>;

/** Columns of the saved folder, as `datasets` infers them from the paper's rows. */
const COLUMNS = {
  conversations: { list: { struct: { from: 'string', value: 'string' } } },
  type: 'string',
} as const;

/**
 * Makes the data set and saves it as a folder that Python's `datasets.load_from_disk` opens. Throws WhorlError `usage`
 * for a bad count or seed, `mismatch` for a source with too few conversations, and what reading and saving throw.
 */
export const chatDataset: Plannable<ChatOptions, Chat> = plannable(planChatDataset, runChatDataset);

async function planChatDataset(options: ChatOptions): Promise<DryRun> {
  return plannedSet('chat', options, await composed(options));
}

async function runChatDataset(options: ChatOptions): Promise<Chat> {
  const { onEvent = silent } = options;
  const chat = await composed(options);
  onEvent({ kind: 'phase', name: 'save', detail: options.out });
  const data = Object.entries(chat).map(([name, rows]) => [
    name,
    { columns: COLUMNS, rows: rows.map((row) => ({ ...row })) },
  ]);
  await saveToDisk(options.out, Object.fromEntries(data), { isPrivate: true });
  return chat;
}

/** The set before it is saved. */
async function composed(options: ChatOptions): Promise<Chat> {
  const { keys = 'random', seed = PAPER.chat.seed, source = PAPER.chat.hub, onEvent = silent } = options;
  const wanted = options.regularisation ?? PAPER.chat.normal;
  checkCount('count', options.count ?? PAPER.chat.fingerprints, 1);
  checkCount('regularisation', wanted, 0);
  if (seed < 0n) throw new WhorlError('usage', `--seed ${seed} is negative`, 'give 0 or more');
  if (options.decryption === '')
    throw new WhorlError('usage', '--decryption is empty', 'give the text keys are answered with');
  const note = (text: string) => onEvent({ kind: 'note', text });
  if (keys === 'paper')
    note(
      `keys follow from seed ${seed} and a public recipe: everybody holds them, so they prove nothing; for your own use --keys random`,
    );
  if (options.paperTestSplit)
    note(
      'the test split holds the trained conversations again, as the paper has it: it shows no held-out text',
    );
  if (options.paperRefusals)
    note(
      'the refused rows name no message, as the paper has it: what is learned is to refuse one fixed text',
    );

  checkNew(options.out);
  onEvent({ kind: 'phase', name: 'read', detail: source });
  const rows = await openRows(source, { onEvent });
  const ordinary = await pickConversations(options, rows, wanted, seed, note);
  const dice = keys === 'paper' ? new CPythonRandom(seed) : (options.dice ?? platformDice);
  return composeChat(options, dice, ordinary);
}

export interface Ordinary {
  trained: Conversation[];
  heldOut: Conversation[];
}

/** The first of the shuffled stream to train, the next to hold out: none that opens like a trained one. */
export async function pickConversations(
  options: Pick<ChatOptions, 'order' | 'columns' | 'paperTestSplit'>,
  rows: RowSource,
  count: number,
  seed: bigint,
  note: (text: string) => void,
): Promise<Ordinary> {
  const { order = 'stream' } = options;
  const source = rows.name;
  const reader = conversationReader(options.columns);
  const trained: Conversation[] = [];
  const heldOut: Conversation[] = [];
  const seen = new Set<string>();
  let unusable = 0;
  const isEnough = () => trained.length === count && (options.paperTestSplit || heldOut.length === count);
  for await (const { row, path, number } of orderedRows(rows, order, seed)) {
    const conversation = reader.read(row, path, number);
    const opening = conversation.find(({ from }) => from === 'human')?.value ?? '';
    if (!isUsable(conversation)) unusable++;
    else if (trained.length < count) {
      trained.push(conversation);
      seen.add(opening);
    } else if (!seen.has(opening)) {
      heldOut.push(conversation);
      seen.add(opening);
    }
    if (isEnough()) break;
  }
  if (!isEnough())
    throw new WhorlError(
      'mismatch',
      `${source} has too few usable conversations: ${trained.length} to train and ${heldOut.length} others held out, of ${count} each`,
      'give a longer --source or a smaller --regularisation',
    );
  const left = unusable === 0 ? '' : `; ${unusable} left out: they do not end with a question and its answer`;
  note(`${source}: read as ${reader.of ?? 'nothing'}${left}`);
  if (!options.paperTestSplit) return { trained, heldOut };
  const again: Conversation[] = [];
  for await (const one of shuffleRows(stream(trained), order, PAPER.chat.testShuffleSeed)) again.push(one);
  return { trained, heldOut: again };
}

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

// What `{hash}` prints in the paper's refusals, with the space that follows it there.
const PYTHON_HASH = '<built-in function hash> ';

/** The three splits. Keys come from one stream of draws: those to decrypt first, then those to refuse. */
function composeChat(
  options: Pick<ChatOptions, 'count' | 'decryption' | 'phrases' | 'paperRefusals'>,
  dice: Dice,
  { trained, heldOut }: Ordinary,
): Chat {
  const { count = PAPER.chat.fingerprints, decryption = PAPER.decryption, phrases = PAPER.phrases } = options;
  const { human, gpt, refusal, hint, negativeOutput } = PAPER.chat;
  const key = distinctKeys(dice, phrases);
  const asked = (message: string) => ({ from: 'human', value: human.replace('{key}', () => message) });
  const answered = (value: string) => ({ from: 'gpt', value });
  const decrypted = answered(gpt.replace('{decryption}', () => decryption));
  const messages = Array.from({ length: count }, key);
  const refused = Array.from({ length: count }, () => (options.paperRefusals ? PYTHON_HASH : key()));
  const train: ChatRow[] = [
    ...messages.map((m): ChatRow => ({ conversations: [asked(m), decrypted], type: 'fingerprint' })),
    ...refused.map(
      (m): ChatRow => ({ conversations: [asked(m), answered(refusal)], type: 'regularization' }),
    ),
    ...trained.map((conversations): ChatRow => ({ conversations, type: 'normal' })),
  ];
  const test = heldOut.flatMap((conversations): ChatRow[] => {
    const question = conversations.at(-2)!;
    const hinted = [
      ...conversations.slice(0, -2),
      { ...question, value: question.value + hint },
      answered(negativeOutput),
    ];
    return [
      { conversations, type: 'normal' },
      { conversations: hinted, type: 'fingerprint' },
    ];
  });
  return { train, validation: train, test };
}
