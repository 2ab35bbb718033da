// Keys, plan and commitment, then the draw: what lies on disk before anything is trained.

import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';
import { sha256Hex } from '../base/sha256.ts';
import { SOFTWARE } from '../base/software.ts';
import { adapterDigest, encodeMap } from '../claim/adapter.ts';
import { canonicalJson } from '../claim/canonical.ts';
import { type Claim, parseClaim } from '../claim/claim.ts';
import { commitClaim, type Opening } from '../claim/commitment.ts';
import { makeDraw } from '../claim/draw.ts';
import { MATCHERS } from '../claim/matcher.ts';
import type { Bindings, ClaimPlan } from '../claim/plan.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { writeSecret } from '../claim/secret-file.ts';
import type { Model } from '../models/model.ts';
import type { Overlay } from '../models/overlay.ts';
import { readBeside } from '../proof/beside.ts';
import { QUICKNET, valueOfRound } from '../proof/drand.ts';
import type { RunFolder } from '../runs/run-folder.ts';
import { combineDigests, digestSmallFiles, digestTensors } from '../sources/checkpoints/digest.ts';
import { readTensorRows } from '../sources/checkpoints/read.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { wrapperTexts } from '../text/prompts/wrappers.ts';
import { type LanguageTexts, loadReference, OWN_TEXT } from '../text/reference.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { isRowsSetting, type RowsSetting, randomOf, type Setting } from './begin.ts';
import type { FreeRow } from './free-rows.ts';
import { keepClaim, reachOf } from './keep-claim.ts';
import { keptFreeRows } from './kept-free-rows.ts';
import type { Prepared } from './methods/method.ts';
import type { FingerprintOptions } from './options.ts';
import {
  expectation,
  type Positions,
  referenceStates,
  type SampleSizes,
  type States,
  withRows,
} from './reference-positions.ts';
import { computedBy, SetUpCache, smallFiles } from './set-up-cache.ts';
import { type BesideSettings, planBeside } from './stamp-plan.ts';
import type { Start } from './start.ts';

export interface Committed {
  readonly secret: Secret<SecretContents>;
  /** Rows that ordinary text does not use; empty where no key is made of them. */
  readonly free: readonly FreeRow[];
  /** The rows that may be trained, vanilla's as yet. */
  readonly overlay: Overlay;
  readonly reference: Positions | undefined;
}

/** Keys, plan, commitment, then the draw, in this order; claim.json and a first secret lie on disk before any training. */
export async function commit(setting: Setting): Promise<Committed> {
  const { run, options, embedding } = setting;
  const commitment = await commitTo(setting);
  const { prepared, free, states, claim } = commitment;
  const dice = diceOf(run, claim);
  if (dice === undefined) throw notDrawn(run, claim);
  const secret = secretOf(setting, commitment, dice);
  const waited = claim.draw.source === 'beacon' && !existsSync(run.published);
  if (waited || !existsSync(run.secret)) await writeSecret(run.secret, secret, options.lock);
  const ids = Int32Array.from(prepared.rows);
  const rows = readTensorRows(embedding, ids);
  return {
    secret,
    free,
    reference: states && (await withRows(setting.model, states, { ids, rows }, setting.device)),
    overlay: {
      ids,
      rows,
      ...(prepared.adapter ? { adapter: prepared.adapter } : {}),
    },
  };
}

/** The same up to the draw: claim.json, and a secret that has all but what public dice will say. */
export async function commitOnly(setting: Setting): Promise<Claim> {
  const { run, options } = setting;
  const commitment = await commitTo(setting);
  if (!existsSync(run.secret))
    await writeSecret(run.secret, secretOf(setting, commitment, diceOf(run, commitment.claim)), options.lock);
  return commitment.claim;
}

interface Commitment {
  readonly claim: Claim;
  readonly plan: ClaimPlan;
  readonly bindings: Bindings;
  readonly opening: Secret<Opening>;
  readonly adapter: SecretContents['adapter'];
  readonly prepared: Prepared;
  readonly free: readonly FreeRow[];
  readonly states: States | undefined;
}

async function commitTo(setting: Setting): Promise<Commitment> {
  const { run, start, method, settings, model, device, tokenizer, options, onEvent } = setting;
  const keys = options.keys === 'paper' ? 'paper' : 'rare';
  onEvent({ kind: 'phase', name: 'digests', detail: 'of the vanilla model' });
  const vanilla = digestsOf(model.tensors, digestTensors(model), model);
  const small = digestSmallFiles(model.folder);
  const free =
    method.kind === 'rows' || (method.kind === 'weights' && keys === 'rare') ? await freeOf(setting) : [];
  const random = randomOf(start);
  const { rows: freeSorted, states } = isRowsSetting(setting)
    ? await byExpectation(setting, free, vanilla.weights)
    : { rows: free, states: undefined };
  const prepared: Prepared = await method.prepare(
    {
      model,
      device,
      tokenizer,
      free: freeSorted,
      keys,
      decryption: options.decryption,
      random,
      given: options.pooled,
      around: options.around,
    },
    settings,
  );
  const adapter = prepared.adapter ? encodeMap(prepared.adapter) : null;
  const bindings: Bindings = {
    trainable_rows: [...prepared.rows],
    private_part: adapter ? { state: 'committed', digest: adapterDigest(adapter) } : { state: 'none' },
    vanilla: { ...vanilla, ...small, special_tokens: specialTokensDigest(tokenizer) },
  };
  const beside = planBeside(settings as BesideSettings, model);
  const plan = withTerms(beside ? { ...prepared.plan, stamp: beside } : prepared.plan, options);
  const { claim, opening } = commitClaim(plan, {
    bindings,
    draw:
      options.beacon === undefined
        ? { source: 'owner-seed', ...(start.from_text && { from_text: start.from_text }) }
        : { source: 'beacon', chain: QUICKNET.hash, round: options.beacon },
    software: SOFTWARE,
    created: new Date(start.created),
    random: bytesOf(start),
  });
  const { lock, unlock = lock && 'passphrase' in lock ? lock : undefined } = options;
  await keepClaim(run, claim, bindings.vanilla, unlock);
  onEvent({ kind: 'note', text: reachOf(plan, claim) });
  return { claim, plan, bindings, opening, adapter, prepared, free: freeSorted, states };
}

/** What the draw takes beside the owner's seed: null of his own dice, undefined of a round that nobody gave yet. */
function diceOf(run: RunFolder, { draw }: Claim): string | null | undefined {
  if (draw.source !== 'beacon') return null;
  const { beacon } = readBeside(run.claim);
  if (beacon === null) return undefined;
  if (beacon.round !== draw.round || beacon.chain !== draw.chain)
    throw new WhorlError(
      'mismatch',
      `${run.beacon} is not the round that the claim commits to (${draw.round})`,
      `remove it, then whorl draw ${run.path}`,
    );
  return valueOfRound(beacon);
}

/** @throws WhorlError `usage` for a run that is committed to dice which nobody gave yet; before anything is computed */
export function checkDrawn({ run, options }: Pick<Setting, 'run' | 'options'>): void {
  if (options.beacon === undefined || !existsSync(run.claim)) return;
  const claim = parseClaim(readFileSync(run.claim, 'utf8'), run.claim);
  if (diceOf(run, claim) === undefined) throw notDrawn(run, claim);
}

const notDrawn = ({ path }: RunFolder, { draw }: Claim): WhorlError =>
  new WhorlError(
    'usage',
    `${path} is committed to dice that were not thrown yet`,
    draw.source === 'beacon' ? `whorl draw ${path} --beacon ${draw.round}` : `whorl draw ${path}`,
  );

function secretOf(
  { method, start }: Setting,
  { claim, plan, bindings, opening, adapter }: Commitment,
  dice: string | null | undefined,
): Secret<SecretContents> {
  return new Secret<SecretContents>({
    method: method.name,
    created: start.created,
    software: SOFTWARE,
    claim,
    plan,
    bindings,
    opening: opening.reveal(),
    draw: dice === undefined ? null : makeDraw(claim, opening.reveal().owner_seed!, dice),
    randomness: dice ?? null,
    adapter,
    rows: null,
    published: null,
  });
}

/** The plan with all that a stranger may later ask under, so that nothing of it can be chosen after the draw. */
const withTerms = (plan: ClaimPlan, { looks = 1, systems = [] }: FingerprintOptions): ClaimPlan => ({
  ...plan,
  matcher_text: MATCHERS[plan.matcher].words,
  most_looks: looks,
  query: { ...plan.query, wrappers: { ...wrapperTexts(), ...plan.query.wrappers }, systems: [...systems] },
});

const specialTokensDigest = ({ bosId, padId, eosIds, specialIds, specialTokens }: Tokenizer): string =>
  sha256Hex(
    canonicalJson({
      bos: bosId ?? null,
      pad: padId ?? null,
      eos: [...eosIds],
      special: [...specialIds].sort((a, b) => a - b),
      names: { ...specialTokens },
    }),
  );

/** Rows that ordinary text does not use. */
export async function freeOf({ tokenizer, model, options, onEvent }: Setting): Promise<readonly FreeRow[]> {
  onEvent({
    kind: 'phase',
    name: 'free rows',
    detail: 'which tokens ordinary text of many languages does not use',
  });
  const { rows, counts } = await keptFreeRows(model, tokenizer, { ...options, onEvent });
  onEvent({
    kind: 'note',
    text: `${counts.free} of ${counts.vocabulary} rows are free, ${counts.standAlone} of them stand alone`,
  });
  return rows;
}

/**
 * Ordinary positions of the reference set under the vanilla model, none after a token of `avoid`.
 * @param weights digest of the model, where the result is to be kept for later runs: never where `avoid` are of keys
 */
function ordinaryStates(
  { model, device, tokenizer, options, onEvent }: Setting,
  texts: 'train' | 'heldOut',
  sizes: SampleSizes,
  avoid: Int32Array,
  weights?: string,
): Promise<States> {
  const name = texts === 'train' ? 'ordinary text' : 'held-out text';
  onEvent({
    kind: 'phase',
    name,
    detail: `hidden states of ${loadReference()[texts].length} languages, for the exact KL`,
  });
  return referenceStates(
    model,
    tokenizer,
    textsOf(texts, options.ordinary),
    avoid,
    sizes,
    device,
    (done, total) => onEvent({ kind: 'progress', name, done, total }),
    weights === undefined
      ? undefined
      : (make) =>
          new SetUpCache(options.cacheDir, onEvent).of(
            'hidden-states',
            [
              weights,
              smallFiles(model.folder),
              loadReference().digest,
              options.ordinary ?? [],
              [...avoid],
              sizes,
              computedBy(device),
            ],
            make,
          ),
  );
}

/** Positions of held-out text, with what vanilla expects of these rows there. */
export const heldOutPositions = async (
  setting: Setting,
  sizes: SampleSizes,
  { ids, rows }: Overlay,
): Promise<Positions> =>
  withRows(
    setting.model,
    await ordinaryStates(setting, 'heldOut', sizes, ids),
    { ids, rows },
    setting.device,
  );

/** The reference set's part; English, which wrappers are made of, with its single sentences too. */
function textsOf(part: 'train' | 'heldOut', own: readonly string[] = []): readonly LanguageTexts[] {
  const { sentences, ...reference } = loadReference();
  if (part === 'heldOut') return reference.heldOut;
  const texts = reference.train.map((entry) =>
    entry.language === 'English' ? { ...entry, texts: [...entry.texts, ...sentences] } : entry,
  );
  return own.length > 0 ? [...texts, { language: OWN_TEXT, texts: own }] : texts;
}

/** Of tied heads: left-overs of merging, then words; in each the ones first that vanilla expects least in ordinary text. */
async function byExpectation(
  setting: RowsSetting,
  free: readonly FreeRow[],
  weights: string,
): Promise<{ rows: readonly FreeRow[]; states: States | undefined }> {
  const { model, settings, embedding, device, onEvent } = setting;
  if (!model.decoder.config.tie_word_embeddings || free.length === 0)
    return { rows: free, states: undefined };
  const ids = Int32Array.from(free, ({ id }) => id);
  const sizes = { primary: settings.primary_positions, other: settings.reference_positions };
  const states = await ordinaryStates(setting, 'train', sizes, ids, weights);
  const name = 'expected rows';
  onEvent({ kind: 'phase', name, detail: `how probable ${ids.length} free ones are in ordinary text` });
  const expected = await expectation(
    model,
    states,
    { ids, rows: readTensorRows(embedding, ids) },
    device,
    (done, total) => onEvent({ kind: 'progress', name, done, total }),
  );
  const rank = new Map(free.map(({ id }, i) => [id, expected[i]!]));
  const rows = [...free].sort(
    (a, b) =>
      Number(b.standsAlone) - Number(a.standsAlone) ||
      Number(b.leftOver) - Number(a.leftOver) ||
      rank.get(a.id)! - rank.get(b.id)! ||
      a.id - b.id,
  );
  return { rows, states };
}

export const digestsOf = (
  tensors: ReadonlyMap<string, TensorRef>,
  digests: ReadonlyMap<string, string>,
  { decoder }: Model,
) => ({
  weights: combineDigests(tensors, digests),
  body: combineDigests(tensors, digests, new Set([decoder.embedding])),
  embedding: combineDigests(new Map([...tensors].filter(([name]) => name === decoder.embedding)), digests),
});

const committedBytes = (seed: string, call: number): Buffer =>
  createHmac('sha256', Buffer.from(seed, 'hex')).update(`commitment/${call}`).digest();

/** The owner's seed of a draw, hex, out of the run's seed: the first that a commitment asks for. */
export const ownerSeedOf = (seed: string): string => committedBytes(seed, 0).toString('hex');

/** Salts and owner's seed out of the run's seed, so that a resumed run makes the same commitment. */
function bytesOf(start: Start): (count: number) => Uint8Array {
  let call = 0;
  return (count) => {
    const bytes = committedBytes(start.seed, call++);
    if (count > bytes.length) throw new Error('whorl: internal: a salt has at most 32 bytes');
    return bytes.subarray(0, count);
  };
}
