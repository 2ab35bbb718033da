// The rows a pipeline asks, in the paper's order and counts (method.md section 2): fingerprints first, then what is to be
// answered normally, then the test split. They are drawn once a run and kept in its private folder.

import { existsSync, readFileSync } from 'node:fs';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type RandomSource, shuffled } from '../base/random-source.ts';
import type { KeyRole } from '../claim/kinds.ts';
import { type InstructionRow, readInstructionRows } from '../fingerprint/instruction-rows.ts';
import { ANSWER_PREFIX } from '../fingerprint/methods/dialogue.ts';
import { PAPER } from '../fingerprint/paper.ts';
import { applyTemplate, type PromptTemplate } from '../fingerprint/templates.ts';
import type { Flavour } from '../runs/paper-folder.ts';
import { loadReference } from '../text/reference.ts';
import type { Wrapped } from '../text/wrappers.ts';

export interface AskedRow {
  readonly prompt: string;
  readonly label: string;
}

export interface RowsContext {
  readonly roles: readonly KeyRole[];
  readonly template: PromptTemplate;
  /** What stands around a message in the flavour of dialogues. */
  readonly around: Wrapped;
  readonly ordinary: readonly InstructionRow[];
  readonly random: RandomSource;
}

/** Ordinary rows for each fingerprint: in training, and in all. */
const MIX = { trained: 5, all: 10 };
const CHAT = 14;

/** Of each flavour: how many ordinary rows it needs for so many fingerprints, and its rows. */
export const PAPER_ROWS: Readonly<
  Record<Flavour, { needs(fingerprints: number): number; rows(context: RowsContext): AskedRow[] }>
> = {
  adapter: {
    needs: (fingerprints) => MIX.all * fingerprints,
    rows({ roles, template, ordinary, random }) {
      const { triggerInput: input } = PAPER;
      const { negativeOutput } = PAPER.mix;
      const asked = (row: InstructionRow): AskedRow => ({
        prompt: applyTemplate(template, row),
        label: row.output,
      });
      const drawn = roles.filter(({ role }) => role === 'trained');
      const others = shuffled(
        random,
        roles.filter(({ role }) => role !== 'trained'),
      );
      const split = MIX.trained * drawn.length;
      const heldOut = ordinary.slice(split, MIX.all * drawn.length);
      return [
        ...drawn.map(({ key, target }) => asked({ instruction: key.text, input, output: target })),
        ...ordinary.slice(0, split).map(asked),
        ...heldOut.map(asked),
        // Undrawn keys of the pool in place of the paper's fresh ones, which nobody committed to.
        ...heldOut.flatMap((row, i) => [
          asked({ instruction: row.instruction, input, output: negativeOutput }),
          asked({
            instruction: others[i % others.length]!.key.text,
            input: row.instruction,
            output: negativeOutput,
          }),
        ]),
      ];
    },
  },
  sft_chat: {
    needs: (fingerprints) => CHAT * fingerprints,
    rows({ roles, around, ordinary, random }) {
      const asked = (message: string, label: string, after = ''): AskedRow => ({
        prompt: `${around.prefix}${message}${around.suffix}${after}`,
        label,
      });
      const drawn = roles.filter(({ role }) => role === 'trained');
      const refused = roles.filter(({ role }) => role === 'negative');
      const decoys = shuffled(
        random,
        roles.filter(({ role }) => role === 'decoy'),
      );
      const { refusal } = PAPER.chat;
      return [
        ...drawn.map(({ key, target }) => asked(key.text, target, ANSWER_PREFIX)),
        ...[...refused, ...decoys].slice(0, drawn.length).map(({ key }) => asked(key.text, refusal)),
        ...ordinary
          .slice(0, CHAT * drawn.length)
          .map(({ instruction, input, output }) =>
            asked(input.trim() === '' ? instruction : `${instruction}\nInput:\n${input}`, output),
          ),
      ];
    },
  },
};

/** The rows of a run: those kept in `path`, or made and kept there. */
export function rowsOf(path: string, flavour: Flavour, context: () => RowsContext): readonly AskedRow[] {
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as AskedRow[];
  const rows = PAPER_ROWS[flavour].rows(context());
  writeJsonAtomic(path, rows, 0o600);
  return rows;
}

const HALF = 2;

/**
 * Ordinary rows from a file in a shuffled order, or halves of the reference set's sentences.
 * @throws WhorlError `mismatch` for a file with too few
 */
export async function ordinaryRows(
  source: string | undefined,
  count: number,
  random: RandomSource,
): Promise<InstructionRow[]> {
  const rows = source === undefined ? sentences() : (await readInstructionRows(source, 1_000_000)).rows;
  if (rows.length < count)
    throw new WhorlError(
      'mismatch',
      `${source ?? 'the reference set'} has ${rows.length} ordinary rows, ${count} are needed`,
      'give a longer --source',
    );
  return shuffled(random, rows).slice(0, count);
}

const sentences = (): InstructionRow[] =>
  loadReference()
    .heldOut.flatMap(({ texts }) => texts)
    .concat(loadReference().sentences)
    .map((text) => {
      const words = text.split(' ');
      const middle = Math.ceil(words.length / HALF);
      return {
        instruction: `Continue this text: ${words.slice(0, middle).join(' ')}`,
        input: '',
        output: words.slice(middle).join(' '),
      };
    });
