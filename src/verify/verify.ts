// `whorl verify`: asks a suspect every key of an opened claim, then decides. Hits are computed after the last answer.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { isNotThere, systemError } from '../base/system-errors.ts';
import { type Claim, parseClaim } from '../claim/claim.ts';
import { claimOf, type Opened, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import { isQuantised, type QuantisedPrecision } from '../engine/packing.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { generateAll } from '../lm/ask.ts';
import type { GenerateRequest } from '../lm/language-model.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking } from '../lm/open.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { type Beside, NOTHING_BESIDE, readBeside, readTrusted } from '../proof/beside.ts';
import { promptTokens } from '../text/prompt-tokens.ts';
import { committedWrapper, promptUnder, type Wrapped } from '../text/prompts/wrappers.ts';
import { keysLeft } from './certificate/burn.ts';
import { type CertificateOptions, type Certifier, certifier, certify } from './certify.ts';
import { checkEvidence, type Found } from './evidence.ts';
import type { OwnerParts, VanillaDigests } from './exactness.ts';
import { changedKeys, keyWarnings } from './key-tokens.ts';
import { answering, digestsOfModel } from './machine.ts';
import { readStamp } from './stamp.ts';
import { type Asked, type DecideOptions, decide, type Verdict } from './verdict.ts';

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
  /** A file with certificates of time-stamp authorities that the caller trusts (PEM, or one in DER); default: nobody is trusted. */
  readonly tsaRoot?: string;
  /** Default: the committed one; with any other no p-value is given. */
  readonly alpha?: number;
  /** Asks so many of the keys that no certificate opened, in committed order; default: all of them. */
  readonly keys?: number;
  /** Writes a certificate, which opens the keys that were asked: they are asked no more. */
  readonly certificate?: CertificateOptions;
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
  /** Where the claim was read; null where there was none but the secret's own copy. */
  readonly claim_file: string | null;
  /** Nothing committed binds the secret's record of trained rows (format 1), so rows are not compared. */
  readonly passive: null;
  readonly software: typeof SOFTWARE;
  /** Keys that certificates opened, which were left out. */
  readonly burnt: number;
  /** Where the certificate was written; null without one. */
  readonly certificate: string | null;
  /** Keys of the answering model's config.json that were ignored, where there are such. */
  readonly ignored_config_keys?: readonly string[];
  /** What the suspect's linear layers computed in, where it was not float32. */
  readonly precision?: QuantisedPrecision;
  /** Why the suspect's tokenizer keeps keys from being asked as they were trained; empty where it does not. */
  readonly warnings: readonly string[];
  readonly seconds: number;
}

/** @throws WhorlError `bad-secret`, `mismatch`, and what opening the suspect throws. With `dryRun` nobody is asked */
export const verify: Plannable<VerifyOptions, VerifyReport> = plannable(
  (options) => beforeAsking(options, planned),
  (options) => beforeAsking(options, ask),
);

/** Everything that is there before the first key is asked. */
interface Ready {
  readonly options: VerifyOptions;
  readonly onEvent: OnEvent;
  readonly started: number;
  readonly contents: SecretContents;
  /** Where the claim was looked for, and where it was found. */
  readonly beside: string;
  readonly claimFile: string | null;
  readonly opened: Opened;
  readonly burnt: number;
  readonly range: Pick<ReturnType<typeof keysLeft>, 'from' | 'to'>;
  readonly look: number;
  readonly issuing: Certifier | undefined;
  readonly suspect: Model;
  readonly vanilla: Model | undefined;
  /** What lies beside the claim, and what was found of it. */
  readonly proved: Beside & Found;
  /** What the suspect's linear layers compute in, where it is not float32. */
  readonly quantised?: QuantisedPrecision;
  /** What is asked; absent for a claim without keys. */
  readonly questions?: Questions;
}

interface Questions {
  readonly ownerParts: OwnerParts;
  /** Who answers. */
  readonly model: LocalModel;
  readonly wrapper: string;
  readonly wrapped: Wrapped;
  readonly requests: readonly GenerateRequest[];
  /** Keys that the suspect's tokenizer changes. */
  readonly changed: Awaited<ReturnType<typeof changedKeys>>;
}

/** Opens secret, claim and suspect and refuses all that can be refused, then calls; nothing is written before that. */
async function beforeAsking<T>(options: VerifyOptions, call: (ready: Ready) => T | Promise<T>): Promise<T> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const device = await openDevice(options, undefined, true);
  const quantised = isQuantised(device.precision) ? device.precision : undefined;
  if (quantised !== undefined && options.certificate !== undefined)
    throw new WhorlError(
      'usage',
      `a certificate of answers in ${quantised}`,
      'leave --precision out: what others check is asked in float32',
    );
  const contents = (await readSecret(options.secret, options.unlock)).reveal();
  const beside = options.claim ?? join(dirname(options.secret), 'claim.json');
  const claimFile = options.claim !== undefined || existsSync(beside) ? beside : null;
  const claim = claimFile === null ? claimOf(contents) : parseClaim(readClaim(claimFile), claimFile);
  const opened = openClaim(claim, contents);
  const besides = claimFile === null ? NOTHING_BESIDE : readBeside(claimFile);
  const found = checkEvidence(besides, claim, readTrusted(options.tsaRoot));
  if (found.randomness !== '' && found.randomness !== contents.randomness)
    throw new WhorlError(
      'mismatch',
      'the secret was drawn by another value than that of the beacon round beside the claim',
      'use the secret and claim of one run',
    );
  const hasKeys = opened.plan.keys.length > 0;
  checkGiven(options, hasKeys, opened.stamp !== undefined);
  const { burnt, ...range } = hasKeys ? keysLeft(contents, options.keys) : NO_KEYS;
  const look = 1 + (contents.opened?.length ?? 0);
  const issuing =
    options.certificate === undefined ? undefined : certifier(options.certificate, opened, options.unlock);
  const cache = options.cacheDir ? { cacheDir: options.cacheDir } : {};
  const open = (model: string) => openModel(model, { onEvent, ...cache, ...configOptions(options) });
  const suspect = await open(options.suspect);
  const vanilla = options.vanilla === undefined ? undefined : await open(options.vanilla);
  const ready = {
    ...{ options, onEvent, started, contents, beside, claimFile, opened, burnt, range, look, issuing },
    ...{ suspect, vanilla, proved: { ...found, ...besides } },
  };
  if (!hasKeys) return call(ready);
  const { spec, ownerParts } = await answering(suspect, contents, options.body, open);
  const made = { device, onEvent, ...(options.cacheDir !== undefined && { cacheDir: options.cacheDir }) };
  return asking(spec, made, async (model) => {
    const wrapper = options.wrapper ?? opened.plan.query.wrapper;
    const wrapped =
      committedWrapper(opened.plan.query.wrappers, wrapper) ?? (await model.wrapped(wrapper, options.system));
    const keys = opened.plan.keys.slice(range.from, range.to);
    const requests = keys.map((key) => ({
      ...promptUnder(wrapped, key.text),
      max_new_tokens: opened.plan.decoding.max_new_tokens,
    }));
    const changed = await changedKeys(keys, requests, model.tokenizer);
    return call({
      ...ready,
      ...(quantised && { quantised }),
      questions: { ownerParts, model, wrapper, wrapped, requests, changed },
    });
  });
}

const NO_KEYS = { from: 0, to: 0, burnt: 0 };

/** What goes with a channel that the claim does not have is refused, before a model is opened. */
function checkGiven(
  { vanilla, body, wrapper, system, keys }: VerifyOptions,
  hasKeys: boolean,
  stamped: boolean,
): void {
  if (vanilla !== undefined && !stamped)
    throw new WhorlError('usage', '--vanilla goes with a claim that has a stamp', 'leave it out');
  if (hasKeys) return;
  for (const [name, value] of Object.entries({ body, wrapper, system, keys }))
    if (value !== undefined)
      throw new WhorlError('usage', `--${name} goes with keys, and this claim has none`, 'leave it out');
}

const planned = ({ options, suspect, vanilla, opened, questions, ...ready }: Ready): DryRun => ({
  dry_run: true,
  command: 'verify',
  models: [
    plannedModel('suspect', suspect),
    ...(vanilla === undefined ? [] : [plannedModel('vanilla', vanilla)]),
    ...(options.body === undefined || !questions ? [] : [plannedModel('body', questions.model.model)]),
  ],
  method: ready.contents.method,
  settings: {
    ...(questions && { wrapper: questions.wrapper, system: options.system ?? null }),
    alpha: options.alpha ?? opened.plan.alpha,
    ...(questions && {
      keys: questions.requests.length,
      max_new_tokens: opened.plan.decoding.max_new_tokens,
    }),
  },
  writes: options.certificate
    ? [
        { path: options.certificate.file, what: 'the certificate' },
        { path: options.secret, what: 'the secret, which notes the keys that were opened' },
        ...(existsSync(options.certificate.key)
          ? []
          : [{ path: options.certificate.key, what: 'a new key that signs' }]),
      ]
    : [],
  notes: [
    ...(ready.claimFile === null ? [`${ready.beside} is missing: the secret's own copy is read`] : []),
    ...(ready.burnt > 0 ? [`${ready.burnt} keys that certificates opened are left out`] : []),
    ...(questions ? keyWarnings(questions.changed.length, questions.requests.length) : []),
  ],
  estimate: null,
});

async function ask(ready: Ready): Promise<VerifyReport> {
  const { options, onEvent, contents, beside, claimFile, opened, burnt, range, look, issuing } = ready;
  const { suspect, vanilla, questions, started } = ready;
  const deciding: DecideOptions = {
    ...(options.alpha === undefined ? {} : { alpha: options.alpha }),
    range,
    look,
    evidence: ready.proved.evidence,
    doubts: doubtsBeside(claimFile, beside, contents),
    stamp: opened.stamp && readStamp(opened.stamp, suspect, vanilla, onEvent),
  };
  const suspect_digests = digestsOfModel(suspect);
  const { verdict, asked, ownerParts, ...more } = questions
    ? await askKeys({ ...ready, suspect_digests }, questions, deciding)
    : notAsked(opened, deciding);
  return {
    ...verdict,
    asked,
    suspect: suspect.source,
    ...more,
    suspect_digests,
    burnt,
    certificate: issuing?.file ?? null,
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
  /** What the suspect's linear layers computed in, where it was not float32. */
  readonly precision?: QuantisedPrecision;
  readonly ignored_config_keys?: readonly string[];
}

async function askKeys(
  {
    options,
    onEvent,
    contents,
    opened,
    look,
    issuing,
    suspect,
    quantised,
    suspect_digests,
    proved,
  }: Ready & Pick<VerifyReport, 'suspect_digests'>,
  { ownerParts, model, wrapper: name, wrapped, requests, changed }: Questions,
  deciding: DecideOptions,
): Promise<Answers> {
  const prompts = requests.map(({ prompt }) => prompt);
  const { prefix, suffix } = wrapped;
  onEvent({ kind: 'phase', name: 'asking', detail: `${requests.length} keys under wrapper "${name}"` });
  const generations = await generateAll(model, requests, { onEvent });
  const answers = generations.map(({ generated }) => generated);
  const asked: Asked = { wrapper: name, system: options.system ?? null, around: [prefix, suffix] };
  const verdict = decide(opened, answers, { ...deciding, asked, ownerParts, changed });
  const { chatTemplate } = model.tokenizer;
  const chat_template_sha256 = chatTemplate === undefined ? null : sha256Hex(chatTemplate);
  if (issuing) {
    const prompt_tokens = await promptTokens(model.tokenizer, requests);
    await certify(issuing, options.secret, contents, opened, {
      verdict,
      around: { prefix, suffix },
      look,
      changed,
      beacon: proved.beacon,
      proofs: proved.proofs.map((response) => Buffer.from(response).toString('base64')),
      suspect: {
        ...suspect_digests,
        source: suspect.source,
        chat_template: chat_template_sha256,
      },
      body: ownerParts.body ?? null,
      exchanges: generations.map(({ prompt, generated, generated_token }, i) => ({
        prompt,
        prompt_tokens: prompt_tokens[i]!,
        answer: generated,
        answer_tokens: [...generated_token],
      })),
    });
  }
  return {
    verdict,
    ownerParts,
    asked: {
      wrapper: name,
      system: asked.system,
      prefix,
      suffix,
      prompts_sha256: sha256Hex(JSON.stringify(prompts)),
      chat_template_sha256,
    },
    ...(quantised && { precision: quantised }),
    warnings: [...keyWarnings(changed.length, requests.length), ...quantisedWarning(quantised)],
    ...(model.model.ignoredConfigKeys.length > 0 && {
      ignored_config_keys: model.model.ignoredConfigKeys,
    }),
  };
}

const quantisedWarning = (precision: QuantisedPrecision | undefined): string[] =>
  precision === undefined
    ? []
    : [
        `The suspect answered with its linear layers in ${precision}: it may answer otherwise as it was published. Ask again without --precision before this is evidence.`,
      ];

/** Of a claim without keys. */
function notAsked(opened: Opened, deciding: DecideOptions): Answers {
  const verdict = decide(opened, [], deciding);
  return {
    verdict,
    ownerParts: {},
    asked: {
      ...verdict.asked,
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
