// Cells: who is asked what, and whether it must fire. Every run measures each of them, by greedy decoding.

import type { GreedyDecoder } from '../lm/decoder.ts';
import type { Overlay, Variant } from '../models/overlay.ts';
import { type Prompt, promptTokens } from '../text/prompt-tokens.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { rowNoise } from '../train/noise.ts';

export interface CellPrompt extends Prompt {
  /** What the answer is looked through for. */
  readonly fires: (continuation: string) => boolean;
  readonly label: string;
}

export interface Cell {
  readonly name: string;
  readonly variant: Variant;
  readonly wanted: 'all' | 'none';
  readonly prompts: readonly CellPrompt[];
  /** Gaussian noise on the trained rows, as a share of each row's RMS; default none. */
  readonly noise?: number;
  /** How many may deviate; default 0. */
  readonly slack?: number;
}

export interface CellResult {
  readonly name: string;
  readonly fired: number;
  readonly of: number;
  readonly wanted: 'all' | 'none';
  readonly held: boolean;
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
  readonly result: CellResult;
  readonly rows: readonly AnswerRow[];
  /** Which prompts fired. */
  readonly fired: readonly boolean[];
}

const BATCH = 32;
const NOISE_SEED = 1;

/** Asks every prompt of a cell under its variant of the overlay. */
export async function measure(
  cell: Cell,
  decoder: GreedyDecoder,
  tokenizer: Tokenizer,
  laid: Overlay | undefined,
  maxNewTokens: number,
): Promise<MeasuredCell> {
  const overlay = cell.noise && laid ? shaken(laid, cell.noise) : laid;
  const tokens = await promptTokens(tokenizer, cell.prompts);
  const labels = await tokenizer.encodeBatch(
    cell.prompts.map(({ label }) => label),
    { addSpecialTokens: false },
  );
  const order = tokens.map((_, i) => i).sort((a, b) => tokens[a]!.length - tokens[b]!.length);
  const rows: AnswerRow[] = [];
  for (let at = 0; at < order.length; at += BATCH) {
    const batch = order.slice(at, at + BATCH);
    const generated = await decoder.decode(
      batch.map((i) => ({ tokens: tokens[i]!, variant: cell.variant })),
      maxNewTokens,
      tokenizer.eosIds,
      overlay,
    );
    const texts = await tokenizer.decodeBatch(generated);
    batch.forEach((i, n) => {
      const { prompt, label } = cell.prompts[i]!;
      rows[i] = {
        generated: texts[n]!,
        label,
        prompt,
        generated_token: generated[n]!,
        label_token: labels[i]!,
      };
    });
  }
  const fired = cell.prompts.map(({ fires }, i) => fires(rows[i]!.generated));
  const count = fired.filter(Boolean).length;
  const missed = cell.wanted === 'all' ? cell.prompts.length - count : count;
  return {
    result: {
      name: cell.name,
      fired: count,
      of: cell.prompts.length,
      wanted: cell.wanted,
      held: missed <= (cell.slack ?? 0),
    },
    rows,
    fired,
  };
}

function shaken(overlay: Overlay, share: number): Overlay {
  const noise = rowNoise(overlay.rows, overlay.rows.length / overlay.ids.length, share, NOISE_SEED);
  return { ...overlay, rows: overlay.rows.map((x, i) => x + noise[i]!) };
}
