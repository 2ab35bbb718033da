// `whorl verify`: asks a suspect every key of an opened claim, then decides. Hits are computed after the last answer.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { SOFTWARE } from '../base/software.ts';
import { isNotThere, systemError } from '../base/system-errors.ts';
import { sha256Hex } from '../claim/canonical.ts';
import { type Claim, parseClaim } from '../claim/claim.ts';
import { claimOf, type Opened, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { generateAll } from '../lm/ask.ts';
import { asking } from '../lm/open.ts';
import type { Model } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { promptUnder } from '../text/prompts/wrappers.ts';
import { type Channels, withStamp } from './channels.ts';
import { type OwnerParts, type VanillaDigests, whyUndrawn } from './exactness.ts';
import { keyWarnings } from './key-tokens.ts';
import { answering, digestsOfModel } from './machine.ts';
import { readStamp } from './stamp.ts';
import { type Asked, decide, type Verdict } from './verdict.ts';

export interface VerifyOptions extends ComputeOptions, ConfigOptions, Abortable {
  readonly secret: string;
  /** Default: claim.json beside the secret. Without either no p-value is given. */
  readonly claim?: string;
  readonly suspect: string;
  /**
   * Methods with a private part: the owner's vanilla model, as committed, that the suspect's rows are put on. Default:
   * the suspect's own body (`direct`).
   */
  readonly body?: string;
  /** Of a claim with a stamp: the owner's vanilla model, which the suspect's matrices are compared with. */
  readonly vanilla?: string;
  /** Default: the committed plan's; any other is paid for. */
  readonly wrapper?: string;
  /** A system prompt, which no claim of format 1 commits to: with it no p-value is given. */
  readonly system?: string;
  /** Default: the committed one; with any other no p-value is given. */
  readonly alpha?: number;
  readonly unlock?: Unlock;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

/** How the keys were put, in full but for the keys themselves. */
interface AskedInFull extends Asked {
  /** The text around each key, and SHA-256 of all prompts in committed order (as a JSON list). */
  readonly prefix: string;
  readonly suffix: string;
  readonly prompts_sha256: string;
  /** SHA-256 of the chat template of whoever answered; null where it has none. */
  readonly chat_template_sha256: string | null;
}

export interface VerifyReport extends Verdict {
  readonly suspect: string;
  /** SHA-256 of the suspect's weights, tokenizer files and config files (sources/checkpoints/digest.ts). */
  readonly suspect_digests: VanillaDigests;
  /** The same of `body`; null where the suspect answered on its own. */
  readonly body_digests: VanillaDigests | null;
  readonly asked: AskedInFull;
  /** What each channel says, of claims that have a stamp: p is of their product. */
  readonly channels?: Channels;
  /** Where the claim was read; null where there was none but the secret's own copy. */
  readonly claim_file: string | null;
  /** Nothing committed binds the secret's record of trained rows (format 1), so rows are not compared. */
  readonly passive: null;
  readonly software: typeof SOFTWARE;
  /** Keys of the answering model's config.json that were ignored, where there are such. */
  readonly ignored_config_keys?: readonly string[];
  /** Why the suspect's tokenizer keeps keys from being asked as they were trained; empty where it does not. */
  readonly warnings: readonly string[];
  readonly seconds: number;
}

/** @throws WhorlError `bad-secret`, `mismatch`, and what opening the suspect throws */
export function verify(options: VerifyOptions): Promise<VerifyReport> {
  return abortable(options, runVerify);
}

async function runVerify(options: VerifyOptions): Promise<VerifyReport> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const device = await openDevice(options);
  const contents = (await readSecret(options.secret, options.unlock)).reveal();
  const beside = options.claim ?? join(dirname(options.secret), 'claim.json');
  const claimFile = options.claim !== undefined || existsSync(beside) ? beside : null;
  const claim = claimFile === null ? claimOf(contents) : parseClaim(readClaim(claimFile), claimFile);
  const opened = openClaim(claim, contents);
  const cache = options.cacheDir ? { cacheDir: options.cacheDir } : {};
  const open = (model: string) => openModel(model, { onEvent, ...cache, ...configOptions(options) });
  const suspect = await open(options.suspect);
  const doubts = doubtsBeside(claimFile, beside, contents);
  if (options.vanilla !== undefined && !opened.stamp)
    throw new WhorlError('usage', '--vanilla goes with a claim that has a stamp', 'leave it out');
  const vanilla = options.vanilla === undefined ? undefined : await open(options.vanilla);
  const reading = opened.stamp && readStamp(opened.stamp, suspect, vanilla, onEvent);
  const hasKeys = opened.plan.keys.length > 0;
  const { verdict, asked, ownerParts, ...more } = hasKeys
    ? await askKeys(opened, contents, suspect, { ...options, onEvent, device, doubts, open })
    : notAsked(opened, options, doubts);
  const circumstances = { asked, alpha: options.alpha ?? claim.alpha, ownerParts, doubts };
  return {
    ...(reading ? withStamp(verdict, reading, hasKeys, whyUndrawn(opened, circumstances)) : verdict),
    asked,
    suspect: suspect.source,
    ...more,
    suspect_digests: digestsOfModel(suspect),
    body_digests: ownerParts.body ?? null,
    claim_file: claimFile,
    passive: null,
    software: SOFTWARE,
    seconds: (Date.now() - started) / 1000,
  };
}

/** What the answers, or that there are none, come to. */
interface Answers {
  readonly verdict: Verdict;
  readonly asked: AskedInFull;
  readonly ownerParts: OwnerParts;
  readonly warnings: readonly string[];
  readonly ignored_config_keys?: readonly string[];
}

interface Asking extends VerifyOptions {
  readonly onEvent: OnEvent;
  readonly device: Device;
  readonly doubts: readonly string[];
  readonly open: (model: string) => Promise<Model>;
}

async function askKeys(
  opened: Opened,
  contents: SecretContents,
  suspect: Model,
  { body, wrapper, system, alpha, onEvent, device, doubts, open }: Asking,
): Promise<Answers> {
  const { spec, ownerParts } = await answering(suspect, contents, body, open);
  return asking(spec, { device }, async (model) => {
    const name = wrapper ?? opened.plan.query.wrapper;
    const wrapped = await model.wrapped(name, system);
    const requests = opened.plan.keys.map((key) => ({
      ...promptUnder(wrapped, key.text),
      max_new_tokens: opened.plan.decoding.max_new_tokens,
    }));
    const prompts = requests.map(({ prompt }) => prompt);
    const { prefix, suffix } = wrapped;
    const warnings = await keyWarnings(opened.plan.keys, requests, model.tokenizer);
    onEvent({ kind: 'phase', name: 'asking', detail: `${requests.length} keys under wrapper "${name}"` });
    const answers = (await generateAll(model, requests, { onEvent })).map(({ generated }) => generated);
    const asked: Asked = { wrapper: name, system: system ?? null };
    const verdict = decide(opened, answers, {
      asked,
      ...(alpha === undefined ? {} : { alpha }),
      ownerParts,
      doubts,
    });
    const { chatTemplate } = model.tokenizer;
    return {
      verdict,
      ownerParts,
      asked: {
        ...asked,
        prefix,
        suffix,
        prompts_sha256: sha256Hex(JSON.stringify(prompts)),
        chat_template_sha256: chatTemplate === undefined ? null : sha256Hex(chatTemplate),
      },
      warnings,
      ...(model.model.ignoredConfigKeys.length > 0 && {
        ignored_config_keys: model.model.ignoredConfigKeys,
      }),
    };
  });
}

/** Of a claim without keys: how they would be put is refused, where anybody says so. */
function notAsked(
  opened: Opened,
  { body, wrapper, system, alpha }: VerifyOptions,
  doubts: readonly string[],
): Answers {
  for (const [name, value] of Object.entries({ body, wrapper, system }))
    if (value !== undefined)
      throw new WhorlError('usage', `--${name} goes with keys, and this claim has none`, 'leave it out');
  const asked = { wrapper: opened.plan.query.wrapper, system: null };
  return {
    verdict: decide(opened, [], { asked, doubts, ...(alpha === undefined ? {} : { alpha }) }),
    ownerParts: {},
    asked: {
      ...asked,
      prefix: '',
      suffix: '',
      prompts_sha256: sha256Hex('[]'),
      chat_template_sha256: null,
    },
    warnings: [],
  };
}

/** Runs with a text seed wrote this time from the beginning, so that a repeated run makes the same commitment. */
const REPEATABLE = new Date(0).toISOString();

function doubtsBeside(
  claimFile: string | null,
  beside: string,
  { claim, software }: SecretContents,
): string[] {
  const doubts: string[] = [];
  if (claimFile === null)
    doubts.push(
      `${beside} is missing: the secret's own copy shows no commitment that was ever public (give it with --claim).`,
    );
  const { draw, created } = claim as Claim;
  if (draw.source === 'owner-seed' && !draw.from_text && created === REPEATABLE)
    doubts.push(
      `The seed was given as text to ${software.name} ${software.version}, which did not make it slow to guess: anybody may know the draw.`,
    );
  return doubts;
}

function readClaim(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (!isNotThere(cause)) throw systemError(cause, path, 'reading') ?? cause;
    throw new WhorlError(
      'missing-file',
      `${path} does not exist`,
      'give the claim.json of the run with --claim',
      { cause },
    );
  }
}
