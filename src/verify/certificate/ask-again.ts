// `whorl check --suspect`: what a certificate says of a suspect is its signer's word until somebody asks again. Asks the same
// questions of the suspect that a judge has, and compares: who it is, what it answers and scores, what its weights say, and the word.

import { type Abortable, abortable } from '../../base/abort.ts';
import { WhorlError } from '../../base/error.ts';
import { type OnEvent, silent } from '../../base/events.ts';
import { type ComputeOptions, openDevice } from '../../engine/session-device.ts';
import { generateAll } from '../../lm/ask.ts';
import { EndpointModel } from '../../lm/endpoint/endpoint-model.ts';
import { type GenerateRequest, type LanguageModel, questionUnder } from '../../lm/language-model.ts';
import { asking } from '../../lm/open.ts';
import { type ConfigOptions, configOptions, openModel } from '../../models/open-model.ts';
import { committedWrapper, inTurns } from '../../text/prompts/wrappers.ts';
import type { Scores } from '../exact/t6.ts';
import { digestsOfModel } from '../machine.ts';
import { checkScores, rankRequests, rankScores } from '../ranks.ts';
import type { EndpointOptions } from '../report.ts';
import { readStamp, type StampReading } from '../stamp.ts';
import type { Verdict } from '../verdict.ts';
import type { Checked } from './check.ts';
import { numbersIn } from './check-further.ts';
import { isEndpoint, type Predicate } from './statement.ts';

export interface AskAgainOptions extends ComputeOptions, ConfigOptions, Abortable {
  /** A folder, a GGUF file, a hub id; of a certificate about a server the address of its API. */
  readonly suspect: string;
  readonly endpoint?: Omit<EndpointOptions, 'transcript'>;
  /** Where the stamp was read against it: the vanilla model, whose matrices are the committed ones. */
  readonly vanilla?: string;
  /** Leave what was ranked unasked: scores cost keys × candidates. */
  readonly withoutRanks?: boolean;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface AskedAgain {
  /** Answers with the same text, and the keys whose are others. */
  readonly answers: { readonly same: number; readonly of: number; readonly others: readonly number[] };
  /** z as it was stated and as it is read now; null where no stamp was read. */
  readonly stamp: { readonly stated: number; readonly read: number } | null;
  /**
   * log10 of T6's p of one look as it was stated and by the scores of now (null: not counted), and by how many nats a score differs at
   * most (null: one is a number only once); null where nothing was ranked, or it was left out. It gives no word.
   */
  readonly ranks: {
    readonly stated: number | null;
    readonly read: number | null;
    readonly apart: number | null;
  } | null;
  /** What differs of who answers: names and TLS certificates of a server that the certificate does not name. */
  readonly differs: readonly string[];
  /** By the answers and weights of now. */
  readonly verdict: Verdict;
  /** Whether that is the certificate's word. */
  readonly confirmed: boolean;
}

/** @throws WhorlError `mismatch` for another suspect, `usage` and `unsupported` for what cannot be asked; before a key is asked */
export const askAgain = (checked: Checked, options: AskAgainOptions): Promise<AskedAgain> =>
  abortable(options, (within) => compared(checked, within));

async function compared(checked: Checked, options: AskAgainOptions): Promise<AskedAgain> {
  const { predicate } = checked.statement;
  const { onEvent = silent, vanilla, withoutRanks = false } = options;
  if (isEndpoint(predicate.suspect) !== (options.endpoint !== undefined))
    throw new WhorlError(
      'mismatch',
      `the certificate is about ${isEndpoint(predicate.suspect) ? `a server, ${predicate.suspect.endpoint}` : 'weights'}`,
      isEndpoint(predicate.suspect)
        ? 'give its address as --suspect, and --model-name'
        : 'give the model as --suspect, without --model-name',
    );
  if (checked.claim.private_part !== 'none' && predicate.transcript.length > 0)
    throw new WhorlError(
      'unsupported',
      "its keys were answered by the suspect's rows under the owner's adapter, which a certificate does not hold",
      'ask the owner for it, or rely on his word',
    );
  const against = predicate.stamp?.against_vanilla === true;
  if (against !== (vanilla !== undefined))
    throw new WhorlError(
      'usage',
      `its stamp was ${predicate.stamp === null ? 'not read' : against ? 'read against the vanilla model' : 'read without the vanilla model'}`,
      against ? 'give the same as --vanilla' : 'leave --vanilla out',
    );
  if (withoutRanks && !predicate.ranks)
    throw new WhorlError('usage', 'the certificate has no ranks', 'leave --without-ranks out');
  onEvent({ kind: 'phase', name: 'asking again', detail: `${predicate.transcript.length} keys` });
  const { answers, scores, stamp, differs } = options.endpoint
    ? await ofServer(checked, options, options.endpoint)
    : await ofWeights(checked, options);
  const others = predicate.transcript.flatMap(({ answer }, i) => (answer === answers[i] ? [] : [i]));
  const verdict = checked.decide(answers, stamp);
  const stated = checked.verdict.channels?.stamp;
  return {
    answers: {
      same: answers.length - others.length,
      of: answers.length,
      others: others.map((i) => predicate.asked.from + i),
    },
    stamp: stamp && stated ? { stated: stated.z, read: stamp.z } : null,
    ranks:
      predicate.ranks && scores
        ? {
            stated: predicate.ranks.log10_p,
            read: checked.rank(scores),
            apart: apart(numbersIn(predicate.ranks).flat(), scores.flat()),
          }
        : null,
    differs,
    verdict,
    confirmed: verdict.verdict === checked.verdict.verdict,
  };
}

/** null where one of two is a number and the other is none. */
function apart(before: readonly number[], now: readonly number[]): number | null {
  let most = 0;
  for (const [i, score] of before.entries()) {
    const other = Number.isFinite(now[i]!) ? now[i]! : Number.NEGATIVE_INFINITY;
    if (score !== other) most = Math.max(most, Math.abs(score - other));
  }
  return Number.isFinite(most) ? most : null;
}

interface Said {
  readonly answers: string[];
  /** Of what was ranked; undefined where nothing was. */
  readonly scores: Scores | undefined;
}

interface Again extends Said {
  readonly stamp: StampReading | null;
  readonly differs: readonly string[];
}

async function ofWeights(checked: Checked, options: AskAgainOptions): Promise<Again> {
  const { predicate } = checked.statement;
  const { onEvent = silent, cacheDir } = options;
  const device = await openDevice(options, undefined, true);
  const cache = { ...(cacheDir && { cacheDir }), checkCache: true };
  const open = (model: string) => openModel(model, { onEvent, ...cache, ...configOptions(options) });
  const suspect = await open(options.suspect);
  const digests = digestsOfModel(suspect);
  for (const part of ['weights', 'tokenizer', 'config'] as const)
    if (digests[part] !== (predicate.suspect as typeof digests)[part])
      throw new WhorlError(
        'mismatch',
        `${options.suspect} is another suspect: its ${part} are not those of the certificate`,
        'give the model that it is about, byte for byte',
      );
  const vanilla = options.vanilla === undefined ? undefined : await open(options.vanilla);
  const stamp = predicate.stamp && (await readStamp(checked.stamp!, suspect, vanilla, onEvent));
  const said =
    predicate.transcript.length === 0
      ? { answers: [], scores: undefined }
      : await asking(
          { kind: 'model', model: suspect, tokenizer: 'sandboxed' },
          { device, onEvent, ...cache },
          async (model) => askedOf(model, checked, options, false),
        );
  return { ...said, stamp, differs: [] };
}

async function ofServer(
  checked: Checked,
  options: AskAgainOptions,
  { attempts, sleep, ca, ...spec }: NonNullable<AskAgainOptions['endpoint']>,
): Promise<Again> {
  const stated = checked.statement.predicate.suspect as Extract<Predicate['suspect'], { kind: string }>;
  const model = await EndpointModel.open(
    { ...spec, kind: 'endpoint', url: options.suspect, endpoint_kind: stated.kind },
    {
      ...(attempts !== undefined && { attempts }),
      ...(sleep && { sleep }),
      ...(ca !== undefined && { ca }),
    },
  );
  try {
    await model.kind(); // by a harmless question
    const before = await model.identity();
    for (const [name, own, other] of [
      ['address', before.url, stated.endpoint],
      ['model name', before.model_name, stated.model_name],
    ] as const)
      if (own !== other)
        throw new WhorlError(
          'mismatch',
          `another suspect: its ${name} is ${own}, the certificate has ${other}`,
          'give what the certificate is about',
        );
    const said = await askedOf(model, checked, options, stated.kind === 'chat', (queries) =>
      model.checkEnough(queries, 'nothing was asked; raise it, or leave ranks out with --without-ranks'),
    );
    const { reported_models, tls_peers } = await model.identity();
    const unknown = (words: string, now: readonly string[], then: readonly string[]): string[] =>
      now.filter((one) => !then.includes(one)).map((one) => `${words} ${one}`);
    return {
      ...said,
      stamp: null,
      differs: [
        ...unknown('it calls its model', reported_models, stated.reported_models),
        ...unknown('TLS certificate', tls_peers, stated.tls_peers),
      ],
    };
  } finally {
    await model.release();
  }
}

/**
 * The keys, put as they were, and what was ranked behind them.
 * @param enough whether so many requests may be made, before the first
 * @throws WhorlError `mismatch` where the suspect's own template writes something else around them, `unsupported` where ranks cannot be scored
 */
async function askedOf(
  model: LanguageModel,
  { plan, statement: { predicate } }: Checked,
  { onEvent = silent, withoutRanks = false }: AskAgainOptions,
  turns: boolean,
  enough?: (requests: number) => void,
): Promise<Said> {
  const { wrapper, system, prefix, suffix } = predicate.asked;
  const own = committedWrapper(plan.query.wrappers, wrapper);
  const wrapped =
    (own && (turns ? inTurns(own, system ?? undefined) : own)) ??
    (await model.wrapped(wrapper, system ?? undefined));
  if (wrapped.prefix !== prefix || wrapped.suffix !== suffix)
    throw new WhorlError(
      'mismatch',
      `what stands around the keys is another text than in the certificate under wrapper "${wrapper}"`,
      'ask it with the version of Whorl that issued it',
    );
  const questions = plan.keys.map(({ text }) => questionUnder(wrapped, text));
  const scoring =
    predicate.ranks && !withoutRanks
      ? rankRequests(plan, 0, questions, 'leave what was ranked out with --without-ranks')
      : [];
  const trying = scoring.length > 0 ? 1 : 0;
  enough?.(questions.length + trying + scoring.length);
  if (trying) await checkScores(model);
  const requests = questions.map(
    (question): GenerateRequest => ({ ...question, max_new_tokens: plan.decoding.max_new_tokens }),
  );
  const answers = (await generateAll(model, requests, { onEvent })).map(({ generated }) => generated);
  return { answers, scores: await rankScores(model, scoring, questions.length, onEvent) };
}
