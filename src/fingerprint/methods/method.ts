// What a fingerprint method is: a plan to commit to, batches to train on after the draw, cells that must hold.

import type { OnEvent } from '../../base/events.ts';
import type { RandomSource } from '../../base/random-source.ts';
import type { Schema } from '../../base/setting.ts';
import type { KeyRole } from '../../claim/kinds.ts';
import type { ClaimKind, ClaimPlan } from '../../claim/plan.ts';
import type { Conversation } from '../../datasets/conversations.ts';
import type { Device } from '../../engine/session.ts';
import type { GenerateRequest, TokenGeneration } from '../../lm/language-model.ts';
import type { Example } from '../../models/example.ts';
import type { Model } from '../../models/model.ts';
import type { LowRankMap } from '../../models/overlay.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import type { Groups } from '../../train/rows-change.ts';
import type { Trains } from '../../train/trains.ts';
import type { TuningExample } from '../../train/tuning-examples.ts';
import type { Build } from '../build.ts';
import type { RowsCell, WeightsCell } from '../cells.ts';
import type { FreeRow } from '../free-rows.ts';
import type { Prefixes } from '../prefix-cache.ts';
import type { TrainSettings, WeightsSettings } from '../settings.ts';

/** A wrapper of the owner's: its name in the claim, and the texts before and after a key. */
export interface Around {
  readonly name: string;
  readonly texts: readonly [prefix: string, suffix: string];
}

/** What every method needs to make a plan. */
export interface PlanContext {
  readonly model: Model;
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  /** Rows that ordinary text does not use; of tied heads those first that vanilla expects least in ordinary text. */
  readonly free: readonly FreeRow[];
  /** `paper`: the paper's key phrases; else rare tokens. */
  readonly keys: 'rare' | 'paper';
  /** The owner's own keys, as many as the pool: none are made. */
  readonly given?: readonly string[] | undefined;
  readonly decryption: string | undefined;
  /** What is put around each key instead of the method's own wrapper. */
  readonly around?: Around | undefined;
  /** An independent stream for each purpose, all out of the run's seed. */
  random(purpose: string): RandomSource;
}

/** What is committed before anything is drawn. */
export interface Prepared<K extends ClaimKind = ClaimKind> {
  readonly plan: ClaimPlan<K>;
  /** Ascending ids of the rows that may be trained. */
  readonly rows: readonly number[];
  readonly adapter?: LowRankMap;
}

/** What training and measuring see, after the draw. */
export interface TrainContext {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly plan: ClaimPlan;
  readonly roles: readonly KeyRole[];
  readonly prefixes: Prefixes;
  random(purpose: string): RandomSource;
}

/** With what a narrow model was tried, and what that costs. */
export interface Narrow<S> {
  readonly settings: Partial<S>;
  /** Nats of harm that were never exceeded there; a smaller limit is refused before any work. */
  readonly harm: number;
}

/** What all methods have in common; `kind` says how they train and what is published. */
interface MethodBase<S> {
  readonly name: string;
  readonly summary: string;
  readonly schema: Schema<S>;
  /** Nats of harm above which nothing is published, where nobody says otherwise (see harm-limit.ts). */
  readonly maxHarm: number;
  /**
   * Whether the default `lr` counts for rows of the embedded model's size and is as much smaller as rows are: a model whose
   * embedding and everything that it adds to the hidden state are c times as large is the same one (norms divide by it), and wants
   * c times the step, while AdamW's are as large as the rate says.
   */
  readonly ratesByRows: boolean;
  /** What goes over them for a narrow model (hidden size below `NARROW` in registry.ts), which cannot hold the defaults. */
  narrow(build: Build): Narrow<S>;
  prepare(context: PlanContext, settings: S): Promise<Prepared>;
}

interface TrainedBase<S> extends MethodBase<S> {
  /** What a run may do instead that ends without its cells: something that held on narrow and wide models. */
  readonly easier: string;
}

/** Only embedding rows change: the body stays in its file, and what is published is a patch of it. */
export interface RowsMethod<S extends TrainSettings = TrainSettings> extends TrainedBase<S> {
  readonly kind: 'rows';
  /** The batch of one step: a function of the run's seed and the step's number alone. */
  batch(context: TrainContext, settings: S, step: number): Promise<Example[]>;
  /** Rows that share a part of their change, where `common` is set. */
  groups(context: TrainContext, ids: Int32Array): Groups;
  /**
   * The tokens of a key that begin a text when it is asked as committed. What stands there is where attention rests
   * (Xiao et al. 2023, attention sinks): a row that has moved too far takes the whole model's bearings, and no gradient
   * leads back. Default: none.
   */
  begins?(role: KeyRole): readonly number[];
  /** Cells that stop the training when all hold (`gate`), and those of the report, which is measured anew. */
  cells(context: TrainContext, settings: S, purpose: 'gate' | 'report'): Promise<RowsCell[]>;
}

/**
 * Weights change: a whole checkpoint is trained, written and measured as it will be published.
 * `C` is the method's own: what its examples and cells are made of.
 */
export interface WeightsMethod<S extends WeightsSettings = WeightsSettings, C = unknown>
  extends TrainedBase<S> {
  readonly kind: 'weights';
  trains(settings: S, model: Model): Trains;
  /** @throws WhorlError `usage` for settings that this model cannot be trained with; before anything is written */
  check(settings: S, model: Model, tokenizer: Tokenizer): void;
  /** Made once, after the draw and before training. */
  context(drawn: DrawnContext, settings: S): Promise<C>;
  /** What an epoch (from 0) holds; each has as many. */
  examples(context: C, settings: S, epoch: number): Promise<TuningExample[]>;
  /** `published` is the trained checkpoint, `vanilla` the one before. */
  cells(context: C, settings: S, purpose: 'gate' | 'report'): Promise<WeightsCell[]>;
}

/** Ordinary conversations to train, and others that never are. */
export interface GivenConversations {
  readonly trained: readonly Conversation[];
  readonly heldOut: readonly Conversation[];
}

/** What the road gives such a method after the draw. */
export interface DrawnContext extends Omit<TrainContext, 'prefixes'> {
  readonly free: readonly FreeRow[];
  readonly keys: PlanContext['keys'];
  /** The owner's ordinary conversations, and text of the kind the model is for, where there are such. */
  readonly source: string | undefined;
  /** The same, read already: instead of `source`. */
  readonly conversations: GivenConversations | undefined;
  readonly ownText: readonly string[] | undefined;
  /** The file in which answers are kept for a resumed run; undefined: nowhere. */
  readonly keep: string | undefined;
  /** Answers of the vanilla model, which is closed again before training: the memory of its caches is needed there. */
  askVanilla(requests: readonly GenerateRequest[]): Promise<TokenGeneration[]>;
  readonly onEvent: OnEvent;
}

/** Nothing is trained: what is published follows from the draw alone, and is read from weights. */
export interface StampMethod<S = object> extends MethodBase<S> {
  readonly kind: 'stamp';
  /** @throws WhorlError `usage` for a stamp that this model cannot have; before anything is written */
  check(settings: S, model: Model): void;
}

// biome-ignore lint/suspicious/noExplicitAny: each method's settings are its own
export type Method = RowsMethod<any> | WeightsMethod<any, any> | StampMethod<any>;

/** The values of a method's settings. */
export type SettingsOf<M extends Method> = Parameters<M['prepare']>[1];
