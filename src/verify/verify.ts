// `whorl verify`: asks a suspect every key of an opened claim, then decides. Hits are computed after the last answer.

import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import type { Opened } from '../claim/open.ts';
import { isQuantised, type QuantisedPrecision } from '../engine/packing.ts';
import { openDevice } from '../engine/session-device.ts';
import { generateAll } from '../lm/ask.ts';
import type { TextRequest } from '../lm/language-model.ts';
import type { LocalModel } from '../lm/local-model.ts';
import { asking } from '../lm/open.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import { promptTokens } from '../text/prompt-tokens.ts';
import { committedWrapper, promptUnder, type Wrapped } from '../text/prompts/wrappers.ts';
import { type Certifier, certified, certifier, certify, plannedCertificate } from './certify.ts';
import { planEndpoint, verifyEndpoint } from './endpoint/verify-endpoint.ts';
import type { OwnerParts, VanillaDigests } from './exactness.ts';
import { changedKeys, keyWarnings } from './key-tokens.ts';
import { answering, digestsOfModel } from './machine.ts';
import { decidingOn, notesOn, type OpenedClaim, openedClaim, STAMP_BURNT } from './opened-claim.ts';
import type { AskedInFull, EndpointOptions, EndpointReport, VerifyOptions, VerifyReport } from './report.ts';
import { readStamp } from './stamp.ts';
import { type Asked, type DecideOptions, decide, type Verdict } from './verdict.ts';

export type { EndpointOptions, EndpointReport, VerifyOptions, VerifyReport };

/** @throws WhorlError `bad-secret`, `mismatch`, and what opening the suspect throws. With `dryRun` nobody is asked */
export const verify: Plannable<VerifyOptions, VerifyReport> = plannable(
  (options) => (options.endpoint ? planEndpoint(options) : beforeAsking(options, planned)),
  (options) => (options.endpoint ? verifyEndpoint(options) : beforeAsking(options, ask)),
);

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
  /** Who answers. */
  readonly model: LocalModel;
  readonly wrapper: string;
  readonly wrapped: Wrapped;
  readonly requests: readonly TextRequest[];
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
  const claim = await openedClaim(options);
  const { contents, opened, range, hasKeys } = claim;
  checkGiven(options, hasKeys, opened.stamp !== undefined);
  const issuing =
    options.certificate === undefined ? undefined : certifier(options.certificate, opened, options.unlock);
  const cache = options.cacheDir ? { cacheDir: options.cacheDir } : {};
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
  const { spec, ownerParts } = await answering(suspect, contents, options.body, open);
  return asking(spec, { device, onEvent, ...cache }, async (model) => {
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

/** What goes with a channel that the claim does not have is refused, before a model is opened. */
function checkGiven(
  { vanilla, withoutStamp = false, body, wrapper, system, keys }: VerifyOptions,
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
  for (const [name, value] of Object.entries({ body, wrapper, system, keys }))
    if (value !== undefined)
      throw new WhorlError('usage', `--${name} goes with keys, and this claim has none`, 'leave it out');
}

const planned = ({ options, suspect, vanilla, questions, ...claim }: Ready): DryRun => ({
  dry_run: true,
  command: 'verify',
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
      max_new_tokens: claim.opened.plan.decoding.max_new_tokens,
    }),
  },
  writes: plannedCertificate(options),
  notes: [
    ...notesOn(claim),
    ...(questions ? keyWarnings(questions.changed.length, questions.requests.length) : []),
  ],
  estimate: null,
});

async function ask(ready: Ready): Promise<VerifyReport> {
  const { options, onEvent, claimFile, burnt, issuing } = ready;
  const { suspect, vanilla, stamp, questions, started } = ready;
  const deciding: DecideOptions = {
    ...decidingOn(ready, options.alpha),
    stamp: stamp && readStamp(stamp, suspect, vanilla, onEvent),
  };
  const suspect_digests = digestsOfModel(suspect);
  const { verdict, asked, ownerParts, warnings, ...more } = questions
    ? await askKeys({ ...ready, suspect_digests }, questions, deciding)
    : await notAsked({ ...ready, suspect_digests }, deciding);
  return {
    ...verdict,
    asked,
    suspect: suspect.source,
    ...more,
    warnings: [...warnings, ...(ready.stampBurnt ? [`${capital(STAMP_BURNT)}.`] : [])],
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
  readonly asked: AskedInFull;
  readonly ownerParts: OwnerParts;
  readonly warnings: readonly string[];
  /** What the suspect's linear layers computed in, where it was not float32. */
  readonly precision?: QuantisedPrecision;
  readonly ignored_config_keys?: readonly string[];
}

type Digested = Ready & { readonly suspect_digests: VanillaDigests };

async function askKeys(
  ready: Digested,
  { ownerParts, model, wrapper: name, wrapped, requests, changed }: Questions,
  deciding: DecideOptions,
): Promise<Answers> {
  const { options, onEvent, contents, opened, issuing, suspect, quantised, suspect_digests } = ready;
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
      ...certified(ready, verdict, deciding),
      around: { prefix, suffix },
      changed,
      suspect: { ...suspect_digests, source: suspect.source, chat_template: chat_template_sha256 },
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

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const quantisedWarning = (precision: QuantisedPrecision | undefined): string[] =>
  precision === undefined
    ? []
    : [
        `The suspect answered with its linear layers in ${precision}: it may answer otherwise as it was published. Ask again without --precision before this is evidence.`,
      ];

/** Of a claim without keys. */
async function notAsked(ready: Digested, deciding: DecideOptions): Promise<Answers> {
  const { options, contents, opened, issuing, suspect, suspect_digests } = ready;
  const verdict = decide(opened, [], deciding);
  if (issuing)
    await certify(issuing, options.secret, contents, opened, {
      ...certified(ready, verdict, deciding),
      around: { prefix: '', suffix: '' },
      changed: [],
      suspect: { ...suspect_digests, source: suspect.source, chat_template: null },
      body: null,
      exchanges: [],
    });
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
