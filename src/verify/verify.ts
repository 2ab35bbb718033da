// `whorl verify`: asks a suspect every key of an opened claim, then decides. Hits are computed after the last answer.

import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { assert, WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import type { Opened } from '../claim/open.ts';
import { isQuantised, type QuantisedPrecision } from '../engine/packing.ts';
import { openDevice } from '../engine/session-device.ts';
import type { AskJobWaits } from '../launch/ask-job.ts';
import { checkLaunch } from '../launch/check-launch.ts';
import { type LaunchOptions, plannedJob } from '../launch/job.ts';
import { generateAll } from '../lm/ask.ts';
import type { ScoreRequest, TextRequest } from '../lm/language-model.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking } from '../lm/open.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import { promptTokens } from '../text/prompt-tokens.ts';
import { committedWrapper, promptUnder, type Wrapped } from '../text/prompts/wrappers.ts';
import { type AskedElsewhere, askedByJob, checkByJob, jobsBeside } from './by-job.ts';
import { allOpened } from './certificate/burn.ts';
import { type Certifier, certifier, certify, plannedCertificate } from './certify.ts';
import { transcriptsBeside } from './endpoint/transcript.ts';
import { planEndpoint, verifyEndpoint } from './endpoint/verify-endpoint.ts';
import type { OwnerParts, VanillaDigests } from './exactness.ts';
import { type Decided, decideWithFurther, type FurtherTest } from './further.ts';
import { askedByIds, changedKeys } from './key-tokens.ts';
import { answering, digestsOfModel } from './machine.ts';
import { decidingOn, notesOn, type OpenedClaim, openedClaim, STAMP_BURNT } from './opened-claim.ts';
import { waysToCompute } from './paid.ts';
import { rankRequests, rankScores } from './ranks.ts';
import type { AskedInFull, EndpointOptions, EndpointReport, VerifyOptions, VerifyReport } from './report.ts';
import { decideHere, type Generated } from './sequential/here.ts';
import { askedBefore } from './sequential/local-transcript.ts';
import { checkSequential, sequentialNotes, sequentialSettings } from './sequential/options.ts';
import { readStamp } from './stamp.ts';
import { type Asked, decide, type Verdict } from './verdict.ts';
import {
  asSentence,
  dtypeWarning,
  jobWarning,
  keyWarnings,
  quantisedWarning,
  reorderedWarning,
  stampWarnings,
} from './warnings.ts';

export type { EndpointOptions, EndpointReport, VerifyOptions, VerifyReport };

/** @throws WhorlError `bad-secret`, `mismatch`, and what opening the suspect throws. With `dryRun` nobody is asked */
export const verify: Plannable<Omit<VerifyOptions, 'launch'>, VerifyReport> = plannable(
  planVerify,
  async (options) => {
    const report = await runVerify({ ...options, launch: undefined });
    assert('verdict' in report, 'a job that nobody asked for');
    return report;
  },
);

/**
 * The same with the suspect asked by a job: it is written beside the secret and comes back; the same call again takes its answers in.
 * @throws WhorlError also `unsupported` for a model that transformers computes otherwise, `changed` or `mismatch` for a job or
 *   answers that are not this call's, `job-failed`
 */
export const launchVerify: Plannable<
  VerifyOptions & { readonly launch: LaunchOptions },
  VerifyReport | AskJobWaits
> = plannable(planVerify, runVerify);

async function planVerify(options: VerifyOptions): Promise<DryRun> {
  checkByJob(options);
  return options.endpoint ? planEndpoint(options) : beforeAsking(options, planned);
}

async function runVerify(options: VerifyOptions): Promise<VerifyReport | AskJobWaits> {
  checkByJob(options);
  return options.endpoint ? verifyEndpoint(options) : beforeAsking(options, ask);
}

/** Everything that is there before the first key is asked. */
interface Ready extends OpenedClaim {
  readonly options: VerifyOptions;
  readonly onEvent: OnEvent;
  readonly started: number;
  readonly issuing: Certifier | undefined;
  readonly suspect: Model;
  readonly vanilla: Model | undefined;
  /** What will be read of the suspect's weights. */
  readonly stamp: Opened['stamp'] | undefined;
  /** What the suspect's linear layers compute in, where it is not float32. */
  readonly quantised?: QuantisedPrecision;
  /** What is asked; absent for a claim without keys. */
  readonly questions?: Questions;
}

interface Questions {
  readonly ownerParts: OwnerParts;
  /** The suspect's rows were found in another order. */
  readonly reordered: boolean;
  /** Who answers. */
  readonly model: LocalModel;
  readonly wrapper: string;
  readonly wrapped: Wrapped;
  readonly requests: readonly TextRequest[];
  /** What is scored for T6; empty without `ranks`. */
  readonly scoring: readonly ScoreRequest[];
  /** Keys that the suspect's tokenizer changes. */
  readonly changed: Awaited<ReturnType<typeof changedKeys>>;
  /** How many of those that it changes are asked by the committed token ids. */
  readonly byIds: number;
  /** Keys whose committed ids mean something else to it, where its rows are taken by them. */
  readonly moved: number;
}

/** Opens secret, claim and suspect and refuses all that can be refused, then calls; nothing is written before that. */
async function beforeAsking<T>(options: VerifyOptions, call: (ready: Ready) => T | Promise<T>): Promise<T> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  checkSequential(options);
  const device = await openDevice(options, undefined, true);
  const quantised = isQuantised(device.precision) ? device.precision : undefined;
  if (quantised !== undefined && options.certificate !== undefined)
    throw new WhorlError(
      'usage',
      `a certificate of answers in ${quantised}`,
      'leave --precision out: what others check is asked in float32',
    );
  if (quantised !== undefined && options.launch)
    throw new WhorlError(
      'usage',
      `--precision ${quantised} is of our own engine, and a job asks by transformers`,
      'leave one of them out',
    );
  const claim = await openedClaim(options);
  const { contents, opened, range } = claim;
  const hasKeys = range.from < range.to;
  if (claim.hasKeys && !hasKeys && options.withoutStamp) allOpened(range.to);
  checkGiven(options, hasKeys, opened.stamp !== undefined);
  const issuing =
    options.certificate === undefined ? undefined : certifier(options.certificate, claim, options);
  const cache = { ...(options.cacheDir && { cacheDir: options.cacheDir }), checkCache: true };
  const open = (model: string) => openModel(model, { onEvent, ...cache, ...configOptions(options) });
  const suspect = await open(options.suspect);
  // The body is the vanilla model, byte for byte: what is asked through it is read against it.
  const readable = opened.stamp !== undefined && !claim.stampBurnt && options.withoutStamp !== true;
  const before = options.vanilla ?? (readable ? options.body : undefined);
  const vanilla = before === undefined ? undefined : await open(before);
  const ready = {
    ...claim,
    ...{ options, onEvent, started, issuing, suspect, vanilla, stamp: readable ? opened.stamp : undefined },
  };
  if (!hasKeys) return call(ready);
  const { spec, ownerParts, reordered = false } = await answering(suspect, contents, options.body, open);
  return asking(spec, { device, onEvent, ...cache }, async (model) => {
    if (options.launch) checkLaunch(model.model, options.launch);
    const wrapper = options.wrapper ?? opened.plan.query.wrapper;
    const wrapped =
      committedWrapper(opened.plan.query.wrappers, wrapper) ?? (await model.wrapped(wrapper, options.system));
    const keys = opened.plan.keys.slice(range.from, range.to);
    const texts = keys.map(
      (key): TextRequest => ({
        ...promptUnder(wrapped, key.text),
        max_new_tokens: opened.plan.decoding.max_new_tokens,
      }),
    );
    const lost = await changedKeys(keys, texts, model.tokenizer);
    const { encoder, config } = model.model.decoder;
    // A certificate is about texts, and an encoder's text has an end.
    const known = await askedByIds(keys, texts, lost, wrapped, model.tokenizer, config.vocab_size);
    const byIds = issuing || encoder ? new Map<number, TextRequest>() : known;
    const moved = contents.adapter !== null && options.body === undefined ? lost.length - known.size : 0;
    const requests = texts.map((text, i) => byIds.get(i) ?? text);
    const changed = lost.filter((i) => !byIds.has(i));
    const scoring = options.ranks ? rankRequests(opened.plan, range.from, requests) : [];
    return call({
      ...ready,
      ...(quantised && { quantised }),
      questions: {
        ownerParts,
        reordered,
        model,
        wrapper,
        wrapped,
        requests,
        scoring,
        changed,
        byIds: byIds.size,
        moved,
      },
    });
  });
}

/** What goes with a channel that the claim does not have is refused, before a model is opened. */
export function checkGiven(
  {
    vanilla,
    withoutStamp = false,
    body,
    wrapper,
    system,
    keys,
    ranks,
    sequential,
    launch,
  }: Omit<VerifyOptions, 'suspect'>,
  hasKeys: boolean,
  stamped: boolean,
): void {
  if (vanilla !== undefined && !stamped)
    throw new WhorlError('usage', '--vanilla goes with a claim that has a stamp', 'leave it out');
  if (vanilla !== undefined && withoutStamp)
    throw new WhorlError('usage', '--vanilla and --without-stamp contradict each other', 'leave out one');
  if (hasKeys) return;
  if (withoutStamp)
    throw new WhorlError('usage', '--without-stamp goes with keys, and this claim has none', 'leave it out');
  for (const [name, value] of Object.entries({ sequential, body, wrapper, system, keys, ranks, launch }))
    if (value !== undefined)
      throw new WhorlError('usage', `--${name} goes with keys, and this claim has none left`, 'leave it out');
}

const planned = ({ options, suspect, vanilla, questions, ...claim }: Ready): DryRun =>
  planOf('verify', {
    models: [
      plannedModel('suspect', suspect),
      ...(vanilla === undefined ? [] : [plannedModel('vanilla', vanilla)]),
      ...(options.body === undefined || !questions ? [] : [plannedModel('body', questions.model.model)]),
    ],
    method: claim.contents.method,
    settings: {
      ...(questions && { wrapper: questions.wrapper, system: options.system ?? null }),
      alpha: options.alpha ?? claim.opened.plan.alpha,
      ...(questions && {
        keys: questions.requests.length,
        ...(questions.scoring.length > 0 && { ranks: questions.scoring.length }),
        ...sequentialSettings(options.sequential),
        max_new_tokens: claim.opened.plan.decoding.max_new_tokens,
      }),
    },
    writes: [
      ...plannedCertificate(options),
      ...(options.launch ? [plannedJob(jobsBeside(options.secret))] : []),
      ...(options.sequential
        ? [{ path: transcriptsBeside(options.secret), what: 'a transcript: keys, as digests, and answers' }]
        : []),
    ],
    notes: [
      ...notesOn(claim),
      ...sequentialNotes(options.sequential),
      ...(questions
        ? keyWarnings(questions.changed.length, questions.requests.length, questions.byIds, questions.moved)
        : []),
    ],
  });

async function ask(ready: Ready): Promise<VerifyReport | AskJobWaits> {
  const { options, onEvent, claimFile, burnt, issuing } = ready;
  const { suspect, vanilla, stamp, questions, started } = ready;
  const { launch } = options;
  // Before the stamp is read: the job may have to wait.
  const elsewhere =
    launch &&
    questions &&
    (await askedByJob({ ...options, launch }, questions.model, questions.requests, onEvent));
  if (elsewhere?.kind === 'waiting') return elsewhere;
  const deciding: Deciding = {
    ...decidingOn(ready, options.alpha),
    stamp: stamp && (await readStamp(stamp, suspect, vanilla, onEvent)),
  };
  const suspect_digests = digestsOfModel(suspect);
  const { verdict, asked, further, ownerParts, warnings, ...more } = questions
    ? await askKeys({ ...ready, suspect_digests }, questions, deciding, elsewhere)
    : await notAsked({ ...ready, suspect_digests }, deciding);
  elsewhere?.wipe();
  return {
    ...verdict,
    asked,
    further,
    suspect: suspect.source,
    ...more,
    warnings: [
      ...warnings,
      ...stampWarnings(deciding.stamp),
      ...(ready.stampBurnt ? [asSentence(STAMP_BURNT)] : []),
    ],
    suspect_digests,
    endpoint: null,
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
  readonly further: readonly FurtherTest[];
  readonly asked: AskedInFull;
  readonly ownerParts: OwnerParts;
  readonly warnings: readonly string[];
  /** What the suspect's linear layers computed in, where it was not float32. */
  readonly precision?: QuantisedPrecision;
  readonly launched?: NonNullable<VerifyReport['launched']>;
  readonly ignored_config_keys?: readonly string[];
}

type Digested = Ready & { readonly suspect_digests: VanillaDigests };
type Deciding = ReturnType<typeof decidingOn>;

async function askKeys(
  ready: Digested,
  questions: Questions,
  deciding: Deciding,
  elsewhere: AskedElsewhere | undefined,
): Promise<Answers> {
  const { options, onEvent, contents, opened, issuing, suspect, quantised, suspect_digests } = ready;
  const { ownerParts, model, wrapper: name, wrapped, requests } = questions;
  const { scoring, changed, byIds, moved, reordered } = questions;
  const prompts = requests.map(({ prompt }) => prompt);
  const { prefix, suffix } = wrapped;
  onEvent({ kind: 'phase', name: 'asking', detail: `${requests.length} keys under wrapper "${name}"` });
  const asked: Asked = { wrapper: name, system: options.system ?? null, around: [prefix, suffix] };
  const { dtype = 'float32' } = options.launch ?? {};
  const inLess = quantised !== undefined || dtype !== 'float32';
  const how = { ...deciding, asked, ownerParts, changed, multiplicity: waysToCompute(inLess) };
  const generations: Generated[] = [
    ...(elsewhere?.answers ?? (options.sequential ? [] : await generateAll(model, requests, { onEvent }))),
  ];
  const scores = await rankScores(model, scoring, requests.length, onEvent);
  const decided: Decided & Pick<Answers, 'warnings'> = options.sequential
    ? { ...(await stoppedVerdict(ready, questions, how, generations)), further: [] }
    : {
        ...decideWithFurther(opened, answersOf(generations), how, {
          ...{ seed: contents.opening.owner_seed, randomness: contents.randomness, scores },
        }),
        warnings: [],
      };
  const { verdict, further, warnings, ranks, decoys } = decided;
  const { chatTemplate } = model.tokenizer;
  const chat_template_sha256 = chatTemplate === undefined ? null : sha256Hex(chatTemplate);
  if (issuing) {
    const asked_of = requests.slice(0, verdict.keys.to - verdict.keys.from);
    const prompt_tokens = await promptTokens(model.tokenizer, asked_of);
    await certify(issuing, options.secret, ready, {
      ...{ verdict, stamp: deciding.stamp ?? null },
      around: { prefix, suffix },
      changed,
      suspect: { ...suspect_digests, source: suspect.source, chat_template: chat_template_sha256 },
      body: ownerParts.body ?? null,
      ...{ ranks, decoys },
      exchanges: asked_of.map(({ prompt }, i) => ({
        prompt,
        prompt_tokens: prompt_tokens[i]!,
        answer: generations[i]!.generated,
        answer_tokens: generations[i]!.generated_token?.slice() ?? null,
      })),
    });
  }
  return {
    verdict,
    further,
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
    ...(elsewhere && { launched: { ...elsewhere.ran, dtype } }),
    warnings: [
      ...warnings,
      ...keyWarnings(changed.length, requests.length, byIds, moved),
      ...reorderedWarning(reordered),
      ...quantisedWarning(quantised),
      ...dtypeWarning(dtype),
      ...jobWarning(options.launch),
    ],
    ...(model.model.ignoredConfigKeys.length > 0 && {
      ignored_config_keys: model.model.ignoredConfigKeys,
    }),
  };
}

const answersOf = (generations: readonly { readonly generated: string }[]): string[] =>
  generations.map(({ generated }) => generated);

/** Key by key; what was answered in an earlier call is not asked again. @param generations takes in the answers */
async function stoppedVerdict(
  { options, onEvent, opened, range, suspect_digests, quantised }: Digested,
  { model, requests, wrapper, ownerParts, byIds }: Questions,
  deciding: Deciding & { readonly asked: Asked },
  generations: Generated[],
): Promise<Pick<Answers, 'verdict' | 'warnings'>> {
  const { ignoredConfigKeys } = model.model;
  const before = askedBefore(options, {
    ...{ claim: opened.claim.root, ...suspect_digests, wrapper, system: options.system ?? null },
    ...{ precision: quantised ?? null, keys: `${range.from}..${range.to}` },
    ...{ adapter: ownerParts.adapter ?? null, body: ownerParts.body?.weights ?? null },
    ...(ignoredConfigKeys.length > 0 && { ignored_config_keys: ignoredConfigKeys }),
    ...(byIds > 0 && { by_ids: byIds }), // a certificate is about texts
  });
  const ask = (left: readonly TextRequest[]) => generateAll(model, left, { onEvent });
  return decideHere(opened, deciding, { options: options.sequential!, before, requests, ask, generations });
}

/** Of a claim without keys. */
async function notAsked(ready: Digested, deciding: Deciding): Promise<Answers> {
  const { options, opened, issuing, suspect, suspect_digests } = ready;
  const verdict = decide(opened, [], deciding);
  if (issuing)
    await certify(issuing, options.secret, ready, {
      ...{ verdict, stamp: deciding.stamp ?? null },
      around: { prefix: '', suffix: '' },
      changed: [],
      suspect: { ...suspect_digests, source: suspect.source, chat_template: null },
      body: null,
      exchanges: [],
    });
  return {
    verdict,
    further: [],
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
