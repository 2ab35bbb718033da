// What the bench scripts share: a run opened with its secret, and machines that answer: any rows under the committed
// adapter (or none) on any body.

import { readFileSync } from 'node:fs';
import { embeddingOf } from '../src/attack/embedding.ts';
import { decodeMap } from '../src/claim/adapter.ts';
import { parseClaim } from '../src/claim/claim.ts';
import { keyRoles, openClaim } from '../src/claim/open.ts';
import type { SecretContents } from '../src/claim/secret-contents.ts';
import { readSecret } from '../src/claim/secret-file.ts';
import { generateAll } from '../src/lm/ask.ts';
import { LocalModel } from '../src/lm/local-model.ts';
import type { Model } from '../src/models/model.ts';
import { openModel } from '../src/models/open-model.ts';
import type { LowRankMap } from '../src/models/overlay.ts';
import { RunFolder } from '../src/runs/run-folder.ts';
import { readTensorRows } from '../src/sources/checkpoints/read.ts';
import type { Prompt } from '../src/text/prompt-tokens.ts';

export async function openRun(path: string) {
  const run = new RunFolder(path);
  const contents = (await readSecret(run.secret)).reveal();
  const opened = openClaim(parseClaim(readFileSync(run.claim, 'utf8'), run.claim), contents);
  return { run, contents, opened, roles: keyRoles(opened) };
}
export type OpenedRun = Awaited<ReturnType<typeof openRun>>;

export const adapterOf = ({ adapter }: SecretContents): LowRankMap | undefined =>
  adapter === null ? undefined : decodeMap(adapter);

/** The suspect's trained rows, the committed adapter on them, on the suspect's own body or another. */
export async function withAdapter(
  suspect: Model,
  { contents }: OpenedRun,
  body: Model = suspect,
): Promise<LocalModel> {
  const ids = Int32Array.from(contents.bindings.trainable_rows);
  return LocalModel.open(body, {
    overlay: { ids, rows: readTensorRows(embeddingOf(suspect).ref, ids), adapter: adapterOf(contents)! },
    variant: { rows: true, adapter: true },
  });
}

/** Answers in the order of the prompts. */
export async function ask(
  model: LocalModel,
  prompts: readonly (string | Prompt)[],
  max_new_tokens: number,
): Promise<string[]> {
  const answers = await generateAll(
    model,
    prompts.map((prompt) => ({ ...(typeof prompt === 'string' ? { prompt } : prompt), max_new_tokens })),
  );
  return answers.map(({ generated }) => generated);
}

/** `--name value`, repeated or not, out of the command line. */
export const flag = (name: string): string[] =>
  process.argv.flatMap((word, i) => (word === `--${name}` ? [process.argv[i + 1] ?? ''] : []));
export const has = (name: string): boolean => process.argv.includes(`--${name}`);

export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => String(row[c] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, c) => String(cell).padEnd(widths[c]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export const open = (path: string): Promise<Model> => openModel(path);
