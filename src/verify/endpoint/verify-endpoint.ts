// A suspect behind a server: the keys are put to it as texts or as what a user says, answers are kept as they come, and the
// verdict is decided after the last one. What is refused is refused before a key leaves this machine.

import { checkWritable } from '../../base/atomic.ts';
import { type DryRun, planOf } from '../../base/dry-run.ts';
import { WhorlError } from '../../base/error.ts';
import { silent } from '../../base/events.ts';
import { sha256Hex } from '../../base/sha256.ts';
import { SOFTWARE } from '../../base/software.ts';
import type { Opened } from '../../claim/open.ts';
import { all, generateEach } from '../../lm/ask.ts';
import { EndpointModel } from '../../lm/endpoint/endpoint-model.ts';
import {
  type EndpointKind,
  type EndpointSettings,
  type EndpointSpec,
  endpointSettings,
  isAddress,
} from '../../lm/endpoint/settings.ts';
import { askedText, type GenerateRequest, questionUnder } from '../../lm/language-model.ts';
import {
  committedWrapper,
  inTurns,
  WRAPPERS,
  type Wrapped,
  wrapperInTurns,
} from '../../text/prompts/wrappers.ts';
import { allOpened } from '../certificate/burn.ts';
import { type Certifier, certifier, certify, plannedCertificate } from '../certify.ts';
import { type Decided, decideWithFurther } from '../further.ts';
import { decidingOn, notesOn, type OpenedClaim, openedClaim } from '../opened-claim.ts';
import { WAYS_TO_PUT } from '../paid.ts';
import { checkScores, rankCount, rankRequests, rankScores } from '../ranks.ts';
import type { VerifyOptions, VerifyReport } from '../report.ts';
import { decideInTurn } from '../sequential/in-turn.ts';
import { checkSequential, sequentialNotes, sequentialSettings } from '../sequential/options.ts';
import { type Bound, Transcript, transcriptBeside } from './transcript.ts';

interface Ready extends OpenedClaim {
  readonly issuing: Certifier | undefined;
  readonly spec: EndpointSpec;
  readonly settings: EndpointSettings;
  readonly wrapper: string;
  readonly path: string;
  /** What a transcript binds, but for the call that is used. */
  readonly bound: Bound;
}

const NOT_KNOWN: readonly string[] = [
  'its weights, and whether the same ones answered every key',
  'its tokenizer: whether keys reached the model as they were committed',
  'its chat template, and whatever else the server puts before a text or takes out of an answer',
  'its decoding: temperature 0 was asked for',
];

export async function planEndpoint(options: VerifyOptions): Promise<DryRun> {
  const prepared = await ready(options);
  const { spec, settings, contents, wrapper, path, range } = prepared;
  const keys = range.to - range.from;
  return planOf('verify', {
    models: [{ role: 'suspect', source: `${spec.model_name} at ${settings.name}`, family: 'not known' }],
    method: contents.method,
    settings: {
      wrapper,
      system: options.system ?? null,
      alpha: options.alpha ?? contents.plan.alpha,
      keys,
      ...(options.ranks && { ranks: rankCount(prepared.opened.plan, range) }),
      ...sequentialSettings(options.sequential),
      max_new_tokens: contents.plan.decoding.max_new_tokens,
      endpoint_kind: settings.kind,
      api_key: settings.apiKey !== undefined,
      concurrency: settings.concurrency,
      timeout: settings.timeout_ms / 1000,
      max_queries: finite(settings.most.queries),
      max_tokens_total: finite(settings.most.tokens),
    },
    writes: [{ path, what: 'the transcript: keys, as digests, and answers' }, ...plannedCertificate(options)],
    notes: [
      ...notesOn(prepared),
      ...sequentialNotes(options.sequential),
      'Each key that is asked is known to whoever runs the server.',
    ],
  });
}

const finite = (most: number): number | null => (Number.isFinite(most) ? most : null);

/**
 * @throws WhorlError `usage`, `unsupported` before anything is asked; `unreachable`, `endpoint`, `over-budget` where keys are left
 *   without an answer: then there is no verdict, and the same call goes on where this one ended
 */
export async function verifyEndpoint(options: VerifyOptions): Promise<VerifyReport> {
  const started = Date.now();
  const onEvent = options.onEvent ?? silent;
  const prepared = await ready(options);
  const { claimFile, burnt, opened, range, wrapper, path } = prepared;
  const before = kindBefore(prepared);
  const model = await EndpointModel.open(
    { ...prepared.spec, ...(before && { endpoint_kind: before }) },
    options.endpoint,
  );
  try {
    const kind = await model.kind();
    const transcript = new Transcript(path, { ...prepared.bound, kind });
    try {
      model.keepIn(transcript);
      const own = committedWrapper(opened.plan.query.wrappers, wrapper);
      const texts = own && (kind === 'chat' ? inTurns(own, options.system) : own);
      const wrapped = texts ?? (await model.wrapped(wrapper, options.system));
      const requests = requestsOf(opened, range, wrapped);
      const scoring = options.ranks ? rankRequests(opened.plan, range.from, requests) : [];
      const left = requests.length - transcript.answers;
      const trying = scoring.length > 0 && left > 0 ? 1 : 0;
      if (!options.sequential)
        model.checkEnough(
          left + trying + scoring.length,
          'no key was asked; raise it, or ask fewer keys with --keys',
        );
      if (trying) await checkScores(model);
      const most = options.sequential ? 'at most ' : '';
      const detail = `${most}${left} of ${requests.length} keys under wrapper "${wrapper}" as ${kind}`;
      onEvent({ kind: 'phase', name: 'asking', detail });
      const { prefix, suffix } = wrapped;
      const deciding = {
        ...decidingOn(prepared, options.alpha),
        multiplicity: WAYS_TO_PUT,
        asked: { wrapper, system: options.system ?? null, around: [prefix, suffix] as const },
      };
      const answers: string[] = [];
      /** Keys from..to-1 of the range; `draw` is each one's place in the transcript. */
      const ask = async function* (from: number, to: number): AsyncGenerator<string> {
        const failed: WhorlError[] = [];
        const asked = { onEvent, onRowError: (_: number, error: WhorlError) => failed.push(error) };
        const part = requests.slice(from, to).map((request, i) => ({ ...request, draw: from + i }));
        let place = from;
        for await (const { generated } of generateEach(model, part, asked)) {
          if (failed.length > 0) continue; // it may be another key's
          answers[place++] = generated;
          yield generated;
        }
        if (failed.length > 0) throw unanswered(failed, requests.length, path);
      };
      const { opening, randomness } = prepared.contents;
      if (!options.sequential) await all(ask(0, requests.length));
      const scores = await rankScores(model, scoring, requests.length, onEvent);
      const look = (stopped: string, keys: number): number => transcript.look(stopped, keys);
      const decided: Decided = options.sequential
        ? {
            verdict: await decideInTurn(opened, deciding, { options: options.sequential, ask, look }),
            further: [],
          }
        : decideWithFurther(opened, answers, deciding, { seed: opening.owner_seed, randomness, scores });
      const { verdict, further } = decided;
      const identity = await model.identity();
      const { from, to } = transcript.times!;
      if (prepared.issuing) {
        const { url, model_name, reported_models, tls_peers } = identity;
        await certify(prepared.issuing, options.secret, prepared, {
          ...{ verdict, stamp: null },
          around: { prefix, suffix },
          changed: [],
          suspect: {
            ...{ endpoint: url, model_name, kind },
            ...{ reported_models: [...reported_models], tls_peers: [...tls_peers] },
            ...{ asked_from: from, asked_to: to, transcript_chain: transcript.chain },
          },
          body: null,
          ...{ ranks: decided.ranks, decoys: decided.decoys },
          exchanges: requests.slice(0, verdict.keys.to - verdict.keys.from).map((_, i) => ({
            // In turns it is what the user says.
            prompt: `${prefix}${opened.plan.keys[range.from + i]!.text}${suffix}`,
            prompt_tokens: null,
            answer: answers[i]!,
            answer_tokens: null,
          })),
        });
      }
      return {
        ...verdict,
        further,
        suspect: `${identity.model_name} at ${identity.url}`,
        suspect_digests: null,
        endpoint: {
          ...identity,
          ...{ asked_from: from, asked_to: to, transcript: path, transcript_chain: transcript.chain },
          kept: transcript.found,
          ...transcript.spent,
          not_known: NOT_KNOWN,
        },
        body_digests: null,
        asked: {
          ...{ wrapper, system: options.system ?? null, prefix, suffix },
          prompts_sha256: sha256Hex(JSON.stringify(requests.map(askedText))),
          chat_template_sha256: null,
        },
        claim_file: claimFile,
        passive: null,
        software: SOFTWARE,
        burnt,
        certificate: prepared.issuing?.file ?? null,
        warnings: warningsOf(identity.reported_models, kind, wrapper, opened, options),
        seconds: (Date.now() - started) / 1000,
      };
    } finally {
      transcript.close();
    }
  } finally {
    await model.release();
  }
}

async function ready(options: VerifyOptions): Promise<Ready> {
  const { endpoint, suspect } = options;
  if (!isAddress(suspect))
    throw new WhorlError(
      'usage',
      '--model-name goes with the address of a server',
      'give --suspect https://…/v1',
    );
  for (const [name, value] of Object.entries({ body: options.body, vanilla: options.vanilla }))
    if (value !== undefined)
      throw new WhorlError('usage', `--${name} goes with weights, and a server shows none`, 'leave it out');
  checkSequential(options);
  const { transcript, attempts: _, sleep: __, ca: ___, ...more } = endpoint!;
  const claim = await openedClaim(options);
  const { opened, contents, range } = claim;
  const issuing = options.certificate && certifier(options.certificate, claim, options);
  if (!claim.hasKeys)
    throw new WhorlError(
      'unsupported',
      'this claim has no keys that a server could be asked',
      'its stamp is read from weights: give the model itself as --suspect',
    );
  if (range.from === range.to) allOpened(range.to);
  if (contents.adapter !== null)
    throw new WhorlError(
      'unsupported',
      `method ${contents.method} reads the suspect's embedding rows, which a server does not show`,
      'nothing was asked; give the model itself as --suspect, or claim with rows, sft, emb or lora',
    );
  const { plan } = opened;
  const wrapper = options.wrapper ?? plan.query.wrapper;
  if (!committedWrapper(plan.query.wrappers, wrapper)) wrapperInTurns(wrapper, options.system); // its name
  const ofServer = WRAPPERS.get(wrapper)?.ofSuspect === true;
  const spec: EndpointSpec = { ...more, kind: 'endpoint', url: suspect };
  // A template that is the server's own is written for conversations only.
  const asked =
    ofServer && (spec.endpoint_kind ?? 'auto') === 'auto'
      ? { ...spec, endpoint_kind: 'chat' as const }
      : spec;
  const settings = endpointSettings(asked, endpoint);
  const bound: Bound = {
    claim: opened.claim.root,
    server: settings.name,
    model_name: settings.model_name,
    wrapper,
    system: options.system ?? null,
    keys: `${range.from}..${range.to}`,
    max_new_tokens: plan.decoding.max_new_tokens,
  };
  const path = transcript ?? transcriptBeside(options.secret, bound);
  checkWritable(path);
  return { ...claim, issuing, spec: asked, settings, wrapper, path, bound };
}

/** A call that was begun goes on in the same way. */
function kindBefore({ path, settings }: Ready): EndpointKind | undefined {
  const before = Transcript.boundIn(path)?.kind;
  return settings.kind === 'auto' && (before === 'chat' || before === 'completions') ? before : undefined;
}

const requestsOf = (
  { plan }: Opened,
  { from, to }: OpenedClaim['range'],
  wrapped: Wrapped,
): GenerateRequest[] =>
  plan.keys
    .slice(from, to)
    .map(({ text }) => ({ ...questionUnder(wrapped, text), max_new_tokens: plan.decoding.max_new_tokens }));

/** Keys that are asked in vain are known to the server all the same. */
const unanswered = ([first, ...more]: WhorlError[], of: number, path: string): WhorlError =>
  new WhorlError(
    first!.code,
    `${more.length + 1} of ${of} keys have no answer, so there is no verdict: ${first!.message}`,
    `what was answered is kept in ${path} and is not asked again`,
    { cause: first },
  );

function warningsOf(
  models: readonly string[],
  kind: EndpointKind,
  wrapper: string,
  { stamp }: Opened,
  { precision, ignoreConfigKeys = [] }: VerifyOptions,
): string[] {
  return [
    'How the server splits the keys into tokens is not known: that keys do not fire may be its tokenizer.',
    ...(kind === 'chat' && !WRAPPERS.get(wrapper)?.ofSuspect
      ? [
          `The text of wrapper "${wrapper}" was what a user says: the server put its own chat template around it.`,
        ]
      : []),
    ...(models.length > 1
      ? [`The server gave ${models.length} names of models: more than one may have answered.`]
      : []),
    ...(precision !== undefined || ignoreConfigKeys.length > 0
      ? ['--precision and --ignore-config-key go with weights: what this server computes in is its own.']
      : []),
    ...(stamp ? ["The claim's stamp was not read: it is in weights, and a server shows none."] : []),
  ];
}
