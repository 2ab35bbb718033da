// The batch of one training step as people read it: of a throw-away seed, or of a private run folder.

import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import type { Claim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import type { CachedPrefix, Example, LabelKind } from '../models/example.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import type { Variant } from '../models/overlay.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { begin, type RunOptions, randomOf, readStart, type Setting, type Start } from './begin.ts';
import { commit } from './commit.ts';
import type { TrainContext } from './methods/method.ts';
import { PrefixCache } from './prefix-cache.ts';
import { methodNamed, settingsFor } from './registry.ts';

export interface ShowBatchOptions extends ComputeOptions, ConfigOptions {
  /** What a throw-away batch is made on; of a run its own model by default. */
  readonly model?: string;
  readonly method?: string;
  readonly seed?: string;
  /** Counts from 0. */
  readonly step?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** A private run folder instead of a throw-away seed. */
  readonly run?: string;
  readonly unlock?: Unlock;
  readonly onEvent?: OnEvent;
}

interface ShownToken {
  readonly id: number;
  readonly text: string;
  /** Whether its embedding row is trained. */
  readonly trained: boolean;
}

export interface ShownLabel {
  /** The token after which the label is asked for. */
  readonly row: number;
  readonly token: number;
  readonly text: string;
  readonly alternative: string | null;
  readonly kind: LabelKind;
  readonly weight: number;
}

export interface ShownExample {
  readonly variant: Variant;
  /** Text before the example that is computed once and cached; null where there is none. */
  readonly prefix: { readonly tokens: number; readonly text: string } | null;
  readonly tokens: readonly ShownToken[];
  readonly labels: readonly ShownLabel[];
}

export interface ShownBatch {
  readonly method: string;
  readonly step: number;
  /** `throw-away`: keys of that seed, nobody's; `run`: a run's secret keys and its very batch; `run-keys`: a finished run's keys in contexts drawn anew. */
  readonly source: 'throw-away' | 'run' | 'run-keys';
  readonly examples: readonly ShownExample[];
}

const THROW_AWAY = 'show-batch';

/** Prefixes by their tokens alone: what is only printed needs no keys and values. */
class PrefixNames extends PrefixCache {
  readonly tokens = new Map<CachedPrefix, readonly number[]>();
  override of(prefixes: readonly (readonly number[])[]): Promise<(CachedPrefix | undefined)[]> {
    return Promise.resolve(
      prefixes.map((tokens) => {
        if (tokens.length === 0) return undefined;
        const prefix: CachedPrefix = { length: tokens.length, layers: [] };
        this.tokens.set(prefix, tokens);
        return prefix;
      }),
    );
  }
}

type Source = Pick<Setting, 'method' | 'settings' | 'model' | 'device' | 'tokenizer' | 'start'> & {
  readonly contents: SecretContents;
  readonly source: ShownBatch['source'];
};

/** @throws WhorlError what `fingerprint` throws before it trains; `missing-file` for a folder that holds no run */
export async function showBatch(options: ShowBatchOptions): Promise<ShownBatch> {
  const { method, settings, model, device, tokenizer, start, contents, source } =
    options.run === undefined ? await thrownAway(options) : await ofRun(options, options.run);
  const step = options.step ?? 0;
  const prefixes = new PrefixNames(model, device);
  const context: TrainContext = {
    model,
    tokenizer,
    plan: contents.plan,
    roles: keyRoles(openClaim(contents.claim as Claim, contents)),
    prefixes,
    random: randomOf(start),
  };
  const trained = new Set(contents.bindings.trainable_rows);
  if (method.kind !== 'rows')
    throw new WhorlError(
      'usage',
      `method ${method.name} trains on dialogues, not on rows`,
      '`whorl dataset chat` writes such dialogues; show-batch is for rows and adapter',
    );
  const batch = await method.batch(context, settings, step);
  const examples: ShownExample[] = [];
  for (const example of batch) examples.push(await shown(example, tokenizer, trained, prefixes.tokens));
  return { method: method.name, step, source, examples };
}

/** Keys and draw as a run of this seed would have them, in a folder that is removed again. */
async function thrownAway(options: ShowBatchOptions): Promise<Source> {
  if (options.model === undefined)
    throw new WhorlError('usage', 'neither a model nor a run is given', 'give --model or --run');
  const folder = mkdtempSync(join(tmpdir(), 'whorl-show-batch-'));
  try {
    const setting = await begin({
      model: options.model,
      out: join(folder, 'run'),
      seed: options.seed ?? THROW_AWAY,
      ...(options.method !== undefined && { method: options.method }),
      ...(options.settings && { settings: options.settings }),
      ...(options.onEvent && { onEvent: options.onEvent }),
      device: await openDevice(options),
      ...configOptions(options),
    });
    const { secret } = await commit(setting);
    return { ...setting, contents: secret.reveal(), source: 'throw-away' };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A run's keys out of its secret. Its seed, which the contexts depend on, is there only until the run is done. */
async function ofRun(options: ShowBatchOptions, path: string): Promise<Source> {
  const run = new RunFolder(path);
  if (!existsSync(run.secret))
    throw new WhorlError('missing-file', `${run.secret} does not exist`, 'give a private run folder');
  const contents = (await readSecret(run.secret, options.unlock)).reveal();
  const method = methodNamed(contents.method);
  const going = existsSync(run.start);
  const start = going
    ? await readStart(run, options.unlock)
    : { seed: digest(options.seed ?? THROW_AWAY), created: contents.created, options: '' };
  const [source, settings, ignored] = going ? asked(start) : finished(run);
  const model = await openModel(options.model ?? source, {
    onEvent: options.onEvent ?? silent,
    ignoreConfigKeys: [...ignored, ...(options.ignoreConfigKeys ?? [])],
  });
  return {
    method,
    settings: { ...settingsFor(method, source, options.settings ?? {}), ...settings },
    model,
    device: await openDevice(options),
    tokenizer: await openTokenizer(model.folder),
    start,
    contents,
    source: going ? 'run' : 'run-keys',
  };
}

type Asked = [source: string, settings: Partial<Setting['settings']>, ignored: readonly string[]];

/** Model and settings of an interrupted run, as begin.ts wrote them. */
function asked({ options }: Start): Asked {
  const { model, settings, ignoreConfigKeys = [] } = JSON.parse(options) as RunOptions;
  return [model, settings as Partial<Setting['settings']>, ignoreConfigKeys];
}

function finished(run: RunFolder): Asked {
  const record = JSON.parse(readFileSync(run.run, 'utf8')) as {
    model: { source: string; ignored_config_keys?: readonly string[] };
    settings: Partial<Setting['settings']>;
  };
  return [record.model.source, record.settings, record.model.ignored_config_keys ?? []];
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

async function shown(
  { tokens, labels, variant, prefix }: Example,
  tokenizer: Tokenizer,
  trained: ReadonlySet<number>,
  prefixes: ReadonlyMap<CachedPrefix, readonly number[]>,
): Promise<ShownExample> {
  const textOf = (id: number) => tokenizer.decode([id], { skipSpecialTokens: false });
  const before = prefix && prefixes.get(prefix);
  return {
    variant,
    prefix: before
      ? { tokens: before.length, text: await tokenizer.decode(before, { skipSpecialTokens: false }) }
      : null,
    tokens: await Promise.all(
      tokens.map(async (id) => ({ id, text: await textOf(id), trained: trained.has(id) })),
    ),
    labels: await Promise.all(
      labels.map(async ({ row, token, alternative, kind, weight }) => ({
        row,
        token,
        text: await textOf(token),
        alternative: alternative === undefined ? null : await textOf(alternative),
        kind,
        weight,
      })),
    ),
  };
}
