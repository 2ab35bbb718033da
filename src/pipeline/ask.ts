// One answer file: a machine is asked every row, once or in a sampled round, and the file is there whole or not at all.

import { existsSync } from 'node:fs';
import type { OnEvent } from '../base/events.ts';
import type { LocalModel } from '../lm/local-model.ts';
import type { Sampling } from '../lm/sampling.ts';
import { writeJsonLines } from '../runs/run-folder.ts';
import type { AskedRow } from './paper-rows.ts';

/** Asks, unless the file is there. The five fields are the paper's. */
export async function answerFile(
  path: string,
  rows: readonly AskedRow[],
  machine: () => Promise<LocalModel>,
  max_new_tokens: number,
  name: string,
  onEvent: OnEvent,
  sampling?: Sampling,
): Promise<void> {
  if (existsSync(path)) return onEvent({ kind: 'note', text: `${name}: there already` });
  onEvent({ kind: 'phase', name: 'asking', detail: name });
  const model = await machine();
  const labels = await model.tokenizer.encodeBatch(
    rows.map(({ label }) => label),
    { addSpecialTokens: false },
  );
  const requests = rows.map(({ prompt }, draw) => ({
    prompt,
    max_new_tokens,
    draw,
    ...(sampling && { sampling }),
  }));
  const out: unknown[] = [];
  let done = 0;
  for await (const { index, generation } of model.generate(requests)) {
    const { prompt, label } = rows[index]!;
    out[index] = {
      generated: generation.generated,
      label,
      prompt,
      generated_token: generation.generated_token,
      label_token: labels[index],
    };
    onEvent({ kind: 'progress', name: 'asking', done: ++done, total: rows.length, note: name });
  }
  writeJsonLines(path, out);
}
