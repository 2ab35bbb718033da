// A run's secret opened, and the rows its answer files hold; the models that stand there are the committed one and the
// published one, or nothing is asked.

import { readFileSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import { decodeMap } from '../claim/adapter.ts';
import { parseClaim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import type { SavedSet } from '../datasets/saved-set.ts';
import type { Flavour } from '../runs/paper-folder.ts';
import { conversationFormat } from '../text/prompts/conversation-formats.ts';
import type { PromptTemplate } from '../text/prompts/instruction-templates.ts';
import { templateOf, wrapperOf } from '../text/prompts/wrappers.ts';
import { openTokenizer } from '../text/tokenizer.ts';
import { ordinaryRows } from './ordinary.ts';
import { ordinaryFor, PAPER_ROWS, type PaperRows } from './paper-rows.ts';
import { otherParts, type RunPlace } from './place.ts';
import type { PrivatePart } from './suspects.ts';

export interface RunOptions extends RunPlace {
  readonly flavour: Flavour;
  readonly source?: string;
  /** The saved set whose keys are the pool, where there is one. */
  readonly set?: SavedSet;
  /** Of `adapter`: under which ordinary rows are asked. */
  readonly template?: PromptTemplate;
  readonly unlock?: Unlock;
}

export interface OpenedRun {
  readonly contents: SecretContents;
  readonly decryption: string;
  /** Keys that were drawn. */
  readonly drawn: number;
  readonly rows: PaperRows;
  readonly part: PrivatePart | undefined;
}

/** @throws WhorlError `mismatch` for a base model or a published folder that is not this claim's, and what opening throws */
export async function openRun(options: RunOptions): Promise<OpenedRun> {
  const { run, flavour, set } = options;
  const contents = (await readSecret(run.secret, options.unlock)).reveal();
  const opened = openClaim(parseClaim(readFileSync(run.claim, 'utf8'), run.claim), contents, run.claim);
  await checkModels(options, contents);
  const roles = keyRoles(opened);
  const drawn = roles.filter(({ role }) => role === 'trained').length;
  const tokenizer = await openTokenizer(run.published);
  const { query } = contents.plan;
  const isDialogue = flavour === 'sft_chat';
  const rows = PAPER_ROWS[flavour]({
    roles,
    ordinary:
      set?.ordinary ?? (await ordinaryRows(options.source, ordinaryFor(flavour, drawn), options.onEvent)),
    wrapped: wrapperOf(query, templateOf(tokenizer)),
    ...(options.template && { template: options.template }),
    ...(isDialogue && { format: conversationFormat(query.wrapper, tokenizer) }),
  });
  return {
    contents,
    decryption: roles[0]!.target,
    drawn,
    rows,
    part: contents.adapter
      ? { map: decodeMap(contents.adapter), rows: contents.bindings.trainable_rows }
      : undefined,
  };
}

async function checkModels(
  { models, vanilla, run }: RunOptions,
  { bindings, published }: SecretContents,
): Promise<void> {
  const base = otherParts(await models.digests(vanilla), bindings.vanilla);
  if (base.length > 0)
    throw new WhorlError(
      'mismatch',
      `--base_model ${vanilla} is not the model that the claim of ${run.path} was made for (other ${base.join(', ')})`,
      'give the vanilla model of this run, byte for byte, or choose another --root',
    );
  const { weights } = await models.digests(run.published);
  if (published === null || weights !== published.weights)
    throw new WhorlError(
      'mismatch',
      `${run.published} is not the model that this run published (other weights)`,
      'put it back, or fingerprint anew with --overwrite',
    );
}
