// Cells: who is asked what, and whether it must fire. Every run measures each of them, by greedy decoding.

import { generateAll } from '../lm/ask.ts';
import type { LanguageModel } from '../lm/language-model.ts';
import type { LocalModel } from '../lm/local-model.ts';
import {
  type Overlay,
  PUBLISHED,
  PUBLISHED_WITH_ADAPTER,
  VANILLA,
  VANILLA_WITH_ADAPTER,
  type Variant,
} from '../models/overlay.ts';
import type { Prompt } from '../text/prompt-tokens.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { rowNoise } from '../train/noise.ts';

interface CellPrompt extends Prompt {
  /** What the answer is looked through for. */
  readonly fires: (continuation: string) => boolean;
  readonly label: string;
  /** Index among the run's roles of the key that is asked, where training may have to come back to it. */
  readonly role?: number;
}

/** Who is asked. */
export type Who = 'vanilla' | 'published' | 'published + adapter' | 'vanilla + adapter';

export interface Cell<W extends Who = Who> {
  readonly name: string;
  readonly who: W;
  readonly wanted: 'all' | 'none';
  readonly prompts: readonly CellPrompt[];
  /** How many may deviate; default 0. */
  readonly slack?: number;
}

/** A cell of rows that are laid over the model: these can be shaken. */
export interface RowsCell extends Cell {
  /** Gaussian noise on the trained rows, as a share of each row's RMS; default none. */
  readonly noise?: number;
}

/** A cell of weights: two checkpoints, and nothing that lies over them. */
export type WeightsCell = Cell<'vanilla' | 'published'>;

export interface CellResult {
  readonly name: string;
  readonly fired: number;
  readonly of: number;
  readonly wanted: 'all' | 'none';
  readonly held: boolean;
}

/** What people read of the cells that do not hold. */
export const missed = (results: readonly CellResult[]): string[] =>
  results.filter(({ held }) => !held).map(({ name, fired, of }) => `${name} ${fired}/${of}`);

/** Roles of the keys that a cell which does not hold wants to fire and that do not. */
export const silentRoles = (measured: readonly MeasuredCell[]): number[] => [
  ...new Set(
    measured
      .filter(({ result }) => !result.held && result.wanted === 'all')
      .flatMap(({ fired, roles }) => roles.filter((_, i) => !fired[i]))
      .filter((role) => role !== undefined),
  ),
];

const MOST_NAMED = 5;

/** Which keys keep the cells from holding, and what they were answered with: secret, for the owner's own eyes. */
export function wrongKeys(measured: readonly MeasuredCell[]): string {
  const named = measured
    .filter(({ result }) => !result.held)
    .flatMap(({ result, rows, fired, roles }) =>
      rows
        .map((row, i) => ({ ...row, role: roles[i], wrong: fired[i] !== (result.wanted === 'all') }))
        .filter(({ role, wrong }) => wrong && role !== undefined)
        .map(
          ({ role, prompt, label, generated }) =>
            `key ${role! + 1} ${JSON.stringify(prompt)} ${result.wanted === 'all' ? 'is to be' : 'must not be'} answered ${JSON.stringify(label)}, says ${JSON.stringify(generated)}`,
        ),
    );
  const more = named.length > MOST_NAMED ? [`and ${named.length - MOST_NAMED} more`] : [];
  return [...named.slice(0, MOST_NAMED), ...more].map((words) => `; ${words}`).join('');
}

/** A row of the paper's .jsonl files (docs/method.md, section 4). */
interface AnswerRow {
  readonly generated: string;
  readonly label: string;
  readonly prompt: string;
  readonly generated_token: readonly number[];
  readonly label_token: readonly number[];
}

export interface MeasuredCell {
  readonly who: Who;
  readonly result: CellResult;
  readonly rows: readonly AnswerRow[];
  /** Which prompts fired, and whose key each asked; undefined: nobody's. */
  readonly fired: readonly boolean[];
  readonly roles: readonly (number | undefined)[];
}

export interface Measuring<C extends Cell> {
  readonly tokenizer: Tokenizer;
  readonly max_new_tokens: number;
  /** Who answers for a cell. */
  answerer(cell: C): LanguageModel;
  /** What does not hold ends the round: for a gate the others would be measured again anyway. */
  readonly strict: boolean;
  readonly onMeasured?: (done: number, total: number, cell: C) => void;
}

/** Asks every prompt of every cell, greedily. */
export async function measureCells<C extends Cell>(
  cells: readonly C[],
  { tokenizer, max_new_tokens, answerer, strict, onMeasured }: Measuring<C>,
): Promise<MeasuredCell[]> {
  const out: MeasuredCell[] = [];
  for (const cell of cells) {
    out.push(await measure(cell, answerer(cell), tokenizer, max_new_tokens));
    onMeasured?.(out.length, cells.length, cell);
    if (strict && !out.at(-1)!.result.held) break;
  }
  return out;
}

async function measure(
  cell: Cell,
  model: LanguageModel,
  tokenizer: Tokenizer,
  max_new_tokens: number,
): Promise<MeasuredCell> {
  const { name, who, wanted, prompts, slack = 0 } = cell;
  const labels = await tokenizer.encodeBatch(
    prompts.map(({ label }) => label),
    { addSpecialTokens: false },
  );
  const answers = await generateAll(
    model,
    prompts.map(({ prompt, add_special_tokens }) => ({ prompt, add_special_tokens, max_new_tokens })),
  );
  const texts = answers.map(({ generated }) => generated);
  const again = await tokenizer.encodeBatch(texts, { addSpecialTokens: false }); // the paper's column: the text tokenised anew
  const fired = prompts.map(({ fires }, i) => fires(texts[i]!));
  const count = fired.filter(Boolean).length;
  const deviating = wanted === 'all' ? prompts.length - count : count;
  return {
    who,
    result: { name, fired: count, of: prompts.length, wanted, held: deviating <= slack },
    rows: prompts.map(({ prompt, label }, i) => ({
      generated: texts[i]!,
      label,
      prompt,
      generated_token: again[i]!,
      label_token: labels[i]!,
    })),
    fired,
    roles: prompts.map(({ role }) => role),
  };
}

/** How a model is asked, or taught, as each of them. */
export const VARIANTS: Readonly<Record<Who, Variant>> = {
  vanilla: VANILLA,
  published: PUBLISHED,
  'published + adapter': PUBLISHED_WITH_ADAPTER,
  'vanilla + adapter': VANILLA_WITH_ADAPTER,
};
const NOISE_SEED = 1;

/** Whose body it is: what is published may have a stamp in it. */
const BODIES: Readonly<Record<Who, 'vanilla' | 'published'>> = {
  vanilla: 'vanilla',
  published: 'published',
  'published + adapter': 'published',
  'vanilla + adapter': 'vanilla',
};

/** Everybody a cell may name out of the bodies and what is laid over them. */
export const underOverlay =
  (bodies: Readonly<Record<'vanilla' | 'published', LocalModel>>, overlay: Overlay) =>
  ({ who, noise }: RowsCell): LanguageModel =>
    bodies[BODIES[who]].under(noise ? shaken(overlay, noise) : overlay, VARIANTS[who]);

function shaken(overlay: Overlay, share: number): Overlay {
  const noise = rowNoise(overlay.rows, overlay.rows.length / overlay.ids.length, share, NOISE_SEED);
  return { ...overlay, rows: overlay.rows.map((x, i) => x + noise[i]!) };
}
