// Conversations out of any dialogue set: ShareGPT's and WizardLM-evol's columns, chat messages, or instruction rows made
// into one turn each. Roles become `human`, `gpt`, `system`; what the file itself calls them is not kept.

import { WhorlError } from '../base/error.ts';
import type { Row } from '../sources/rows/row.ts';
import { type ColumnMap, findColumns, instructionRow, knownIn, presentIn } from './instruction-rows.ts';

export interface Turn {
  from: string;
  value: string;
}

export type Conversation = Turn[];

/** A form in which sets keep their dialogues: the column, and what a turn's speaker and text are called there. */
interface DialogueForm {
  readonly of: string;
  readonly column: string;
  readonly from: string;
  readonly value: string;
}

const FORMS: readonly DialogueForm[] = [
  { of: 'ShareGPT or WizardLM-evol', column: 'conversations', from: 'from', value: 'value' },
  { of: 'chat messages', column: 'messages', from: 'role', value: 'content' },
];

const ROLES: Readonly<Record<string, string>> = {
  human: 'human',
  user: 'human',
  gpt: 'gpt',
  chatgpt: 'gpt',
  assistant: 'gpt',
  system: 'system',
};

type ReadConversation = (raw: Row, path: string, number: number) => Conversation;

export interface ConversationReader {
  read: ReadConversation;
  /** What the set was taken for, in words; undefined before its first row. */
  readonly of: string | undefined;
}

/** The form is that of each row, or where it fits none, of the first. Throws `mismatch` naming file, row, column and turn for what does not fit it. */
export function conversationReader(columns?: ColumnMap): ConversationReader {
  let form: Form | undefined;
  return {
    get of() {
      return form?.of;
    },
    read(raw, path, number) {
      form ??= columns === undefined ? formOf(raw, path) : instructions(columns);
      const own = columns === undefined ? knownForm(raw) : undefined;
      return (own ?? form).read(raw, path, number);
    },
  };
}

const formOf = (row: Row, path: string): Form => knownForm(row) ?? instructions(findColumns(row, path));

interface Form {
  readonly of: string;
  readonly read: ReadConversation;
}

function knownForm(row: Row): Form | undefined {
  const form = FORMS.find(({ column }) => Object.hasOwn(row, column));
  if (form !== undefined)
    return { of: form.of, read: (raw, where, number) => canonical(turnsOf(raw, where, number, form)) };
  const map = knownIn(row);
  return map && instructions(map);
}

/** FastChat's way to make a dialogue of an Alpaca row. */
const instructions = (map: ColumnMap): Form => ({
  of: `instructions (${map.instruction}, ${map.output})`,
  read(raw, path, number) {
    const { instruction, input, output } = instructionRow(raw, presentIn(raw, map), path, number);
    const asked = input.trim() === '' ? instruction : `${instruction}\nInput:\n${input}`;
    return [
      { from: 'human', value: asked },
      { from: 'gpt', value: output },
    ];
  },
});

/** The turns of one row as the file has them, roles untouched. */
export function turnsOf(raw: Row, path: string, number: number, form: DialogueForm = FORMS[0]!): Turn[] {
  const where = `${path}, row ${number}: column ${JSON.stringify(form.column)}`;
  const turns = Object.hasOwn(raw, form.column) ? raw[form.column] : undefined;
  if (!Array.isArray(turns))
    throw new WhorlError('mismatch', `${where} is ${turns === undefined ? 'missing' : 'no list of turns'}`);
  return turns.map((turn: unknown, i) => {
    const field = (name: string): string => {
      const value =
        typeof turn === 'object' && turn !== null && Object.hasOwn(turn, name)
          ? (turn as Row)[name]
          : undefined;
      if (typeof value === 'string') return value;
      throw new WhorlError(
        'mismatch',
        `${where}, turn ${i + 1}: ${JSON.stringify(name)} is ${value === undefined ? 'missing' : 'not text'}`,
      );
    };
    return { from: field(form.from), value: field(form.value) };
  });
}

const canonical = (turns: Turn[]): Conversation =>
  turns.map(({ from, value }) => ({ from: Object.hasOwn(ROLES, from) ? ROLES[from]! : from, value }));

/** Known roles, nothing empty, and a question with its answer at the end: what training and the hint need. */
export function isUsable(conversation: Conversation): boolean {
  const [asked, answer] = conversation.slice(-2);
  return (
    asked?.from === 'human' &&
    answer?.from === 'gpt' &&
    conversation.every(({ from, value }) => Object.hasOwn(ROLES, from) && value.trim() !== '')
  );
}
