// `whorl verify`: asks a suspect every key of an opened claim, then decides. Hits are computed after the last answer.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { parseClaim } from '../claim/claim.ts';
import { claimOf, openClaim } from '../claim/open.ts';
import { adapterDigest, decodeAdapter, type SecretContents } from '../claim/secret-contents.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import { LocalModel, type LocalModelOptions } from '../lm/local-model.ts';
import { familyOf } from '../models/llama.ts';
import { type ModelFolder, openModel } from '../models/open-model.ts';
import { type LowRankMap, type Overlay, PUBLISHED_WITH_ADAPTER } from '../models/overlay.ts';
import { digestBody } from '../sources/checkpoints/digest.ts';
import { readRows } from '../sources/checkpoints/read.ts';
import { openSandboxedTokenizer } from '../text/sandbox.ts';
import { type Passive, passiveBaseline } from './passive.ts';
import { decide, type Verdict } from './verdict.ts';

export interface VerifyOptions {
  readonly secret: string;
  /** Default: claim.json beside the secret. */
  readonly claim?: string;
  readonly suspect: string;
  /** Methods with a private part: the owner's body that the suspect's rows are put on. Default: the suspect's own (`direct`). */
  readonly body?: string;
  /** Default: the committed plan's. */
  readonly wrapper?: string;
  readonly system?: string;
  readonly alpha?: number;
  readonly unlock?: Unlock;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface VerifyReport extends Verdict {
  readonly suspect: string;
  readonly passive: Passive | null;
  readonly seconds: number;
}

/** @throws WhorlError `bad-secret`, `mismatch`, and what opening the suspect throws */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const contents = (await readSecret(options.secret, options.unlock)).reveal();
  const beside = options.claim ?? join(dirname(options.secret), 'claim.json');
  const claim =
    options.claim !== undefined || existsSync(beside)
      ? parseClaim(readClaim(beside), beside)
      : claimOf(contents);
  const opened = openClaim(claim, contents);
  const cache = options.cacheDir ? { cacheDir: options.cacheDir } : {};
  const suspect = await openModel(options.suspect, { onEvent, ...cache });
  const machine = await answering(suspect, contents, options, onEvent);
  // Tokenizer and chat template of whoever answers run apart: the suspect chose them (the owner's body costs little).
  const tokenizer = await openSandboxedTokenizer(machine.folder.folder);
  let model: LocalModel | undefined;
  try {
    model = await LocalModel.open(machine.folder, { ...machine.options, tokenizer });
    const name = options.wrapper ?? opened.plan.query.wrapper;
    const { prefix, suffix } = await tokenizer.wrapped(name, options.system);
    const requests = opened.plan.keys.map((key) => ({
      prompt: `${prefix}${key.text}${suffix}`,
      max_new_tokens: opened.plan.decoding.max_new_tokens,
    }));
    onEvent({ kind: 'phase', name: 'asking', detail: `${requests.length} keys under wrapper "${name}"` });
    const answers: string[] = [];
    let done = 0;
    for await (const { index, generation } of model.generate(requests)) {
      answers[index] = generation.generated;
      onEvent({ kind: 'progress', name: 'asking', done: ++done, total: requests.length });
    }
    const verdict = decide(opened, answers, {
      asked: { wrapper: name, system: options.system ?? null },
      ...(options.alpha === undefined ? {} : { alpha: options.alpha }),
      ownerParts: machine.ownerParts,
    });
    return {
      ...verdict,
      suspect: suspect.source,
      passive: contents.rows ? passiveBaseline(contents.rows, suspect) : null,
      seconds: (Date.now() - started) / 1000,
    };
  } finally {
    await model?.release();
    tokenizer.close();
  }
}

function readClaim(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WhorlError(
      'missing-file',
      `${path} cannot be read`,
      'give the claim.json of the run with --claim',
      { cause },
    );
  }
}

interface Machine {
  readonly folder: ModelFolder;
  readonly options: LocalModelOptions;
  readonly ownerParts: { adapter?: string; body?: string };
}

/** Who answers: the suspect itself; with a private part, the suspect's rows under the committed adapter, on either body. */
async function answering(
  suspect: ModelFolder,
  contents: SecretContents,
  { body, cacheDir }: VerifyOptions,
  onEvent: OnEvent,
): Promise<Machine> {
  if (contents.adapter === null) {
    if (body !== undefined)
      throw new WhorlError('usage', '--body belongs to methods with a private part', 'leave it out');
    return { folder: suspect, options: {}, ownerParts: {} };
  }
  const ids = Int32Array.from(contents.bindings.trainable_rows);
  const name = familyOf(suspect.config, `${suspect.source}/config.json`).embedding;
  const embedding = suspect.tensors.get(name);
  if (!embedding || ids.some((id) => id >= embedding.shape[0]!))
    throw new WhorlError(
      'mismatch',
      `${suspect.source} has too few embedding rows for this claim`,
      'the suspect has another vocabulary: this method cannot test it',
    );
  const adapter = lowRankMap(contents);
  if (adapter.A.length !== adapter.rank * embedding.shape[1]!)
    throw new WhorlError(
      'mismatch',
      `${suspect.source} has embeddings of width ${embedding.shape[1]}, the adapter ${adapter.A.length / adapter.rank}`,
      'this method cannot test it',
    );
  const overlay: Overlay = { ids, rows: readRows(embedding, ids), adapter };
  const digest = adapterDigest(contents.adapter);
  if (body === undefined)
    return {
      folder: suspect,
      options: { overlay, variant: PUBLISHED_WITH_ADAPTER },
      ownerParts: { adapter: digest },
    };
  const owner = await openModel(body, { onEvent, ...(cacheDir ? { cacheDir } : {}) });
  const ownerBody = digestBody(owner, [familyOf(owner.config, `${owner.source}/config.json`).embedding]);
  return {
    folder: owner,
    options: { overlay, variant: PUBLISHED_WITH_ADAPTER },
    ownerParts: { adapter: digest, body: ownerBody },
  };
}

/** The committed private map of a secret. Throws `bad-secret` for one that is none. */
export function lowRankMap({ adapter }: Pick<SecretContents, 'adapter'>): LowRankMap {
  const { settings, tensors } = decodeAdapter(adapter!);
  const [A, B] = [tensors.A, tensors.B];
  const { rank, scale } = settings;
  if (
    !A ||
    !B ||
    typeof rank !== 'number' ||
    typeof scale !== 'number' ||
    A.shape[0] !== rank ||
    B.shape[1] !== rank ||
    A.shape[1] !== B.shape[0]
  )
    throw new WhorlError(
      'bad-secret',
      'the secret’s adapter is not a low-rank map',
      'take the copy that was written',
    );
  return { rank, scale, A: A.data, B: B.data };
}
