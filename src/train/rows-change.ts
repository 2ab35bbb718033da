// What training learns of embedding rows, as a value that needs no engine: how it begins, the rows that it stands for, and
// rows put back. Whorl's own trainer and a job for another engine share it.

import type { Overlay } from '../models/overlay.ts';
import { timesMetric } from './metric.ts';
import { freshState, type TrainState } from './step.ts';

/** A change that rows of one group share, learnt beside each row's own: what all keys have in common comes sooner. */
export interface Groups {
  readonly count: number;
  /** Each row's group: [R]. */
  readonly of: Int32Array;
}

export interface RowsChangeParts {
  /** Ids and adapter. */
  readonly overlay: Overlay;
  /** The rows as they are in the checkpoint [R, E], where training starts. */
  readonly vanilla: Float32Array;
  readonly groups?: Groups;
  /** [E, E], what a change is multiplied with (metric.ts); default: nothing. */
  readonly metric?: Float32Array;
}

/** rows = vanilla + (own + common of the row's group)·M. */
export class RowsChange {
  readonly overlay: Overlay;
  readonly vanilla: Float32Array;
  readonly groups: Groups | undefined;
  readonly metric: Float32Array | undefined;
  /** Embedding width. */
  readonly E: number;
  constructor({ overlay, vanilla, groups, metric }: RowsChangeParts) {
    [this.overlay, this.vanilla, this.groups, this.metric] = [overlay, vanilla, groups, metric];
    this.E = vanilla.length / overlay.ids.length;
  }

  /** What it was made of, for a trainer to make its own. */
  get parts(): RowsChangeParts {
    const { overlay, vanilla, groups, metric } = this;
    return { overlay, vanilla, ...(groups && { groups }), ...(metric && { metric }) };
  }

  /** What an optimiser sees: `own` [R, E], and `common` [groups, E] where there are groups. */
  get shapes(): ReadonlyMap<string, readonly number[]> {
    return new Map([
      ['own', [this.overlay.ids.length, this.E]],
      ...(this.groups ? [['common', [this.groups.count, this.E]] as const] : []),
    ]);
  }

  /** Nothing changed yet. */
  start(): TrainState {
    const zeros = ([rows, width]: readonly number[]) => new Float32Array(rows! * width!);
    return freshState(
      new Map([...this.shapes].map(([name, shape]) => [name, { shape, data: zeros(shape) }])),
    );
  }

  /** A state whose rows of these ids are vanilla's again, to be learnt anew. */
  putBack(state: TrainState, ids: ReadonlySet<number>): TrainState {
    const { E } = this;
    const { shape, ...was } = state.slots.get('own')!;
    const own = { shape, value: was.value.slice(), m: was.m.slice(), v: was.v.slice() };
    const common = state.slots.get('common')?.value;
    this.overlay.ids.forEach((id, row) => {
      if (!ids.has(id)) return;
      const group = common && this.groups!.of[row]! * E;
      for (let i = 0; i < E; i++) own.value[row * E + i] = group === undefined ? 0 : -common![group + i]!;
      own.m.fill(0, row * E, (row + 1) * E);
      own.v.fill(0, row * E, (row + 1) * E);
    });
    return { step: state.step, slots: new Map(state.slots).set('own', own) };
  }

  /** The rows of a state [R, E]: vanilla's, plus each row's own change and its group's. */
  rows(state: TrainState): Float32Array {
    const { E } = this;
    const own = state.slots.get('own')!.value;
    const common = state.slots.get('common')?.value;
    const total = common
      ? own.map((x, i) => x + common[this.groups!.of[Math.floor(i / E)]! * E + (i % E)]!)
      : own;
    const change = this.metric ? timesMetric(total, this.metric, E) : total;
    return change.map((x, i) => x + this.vanilla[i]!);
  }
}
