// A committed stamp read from a suspect's weights, matrix by matrix, against the owner's vanilla model or without it.

import { breathe } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import type { DrawnStamp, StampPlan } from '../claim/stamp.ts';
import type { Model } from '../models/model.ts';
import { ownNames } from '../models/names.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { matrixSums, pooled, type ReadSums, zOf } from '../stamp/read-stamp.ts';
import { residualOrder } from '../stamp/reordered.ts';
import { log10EValue, log10Tail } from '../stamp/tail.ts';
import { elements, type TensorRef } from '../tensor/tensor.ts';

/** What a matrix or several of them say. */
interface Reading {
  /** Standard normal where the suspect does not know the direction. */
  readonly z: number;
  /** log10 P(G >= z), one-sided. */
  readonly log10_tail: number;
  readonly elements: number;
  /** Exact zeros, outlying ones and what is no number. */
  readonly left_out: number;
}

export interface StampReading extends Reading {
  /** Whether the suspect was read against the owner's vanilla model. */
  readonly against_vanilla: boolean;
  /** log10 of the e-value of z, halved: both ways of reading are paid for. */
  readonly log10_e: number;
  readonly matrices: readonly (Reading & ReadSums & { readonly name: string })[];
  /** Committed matrices that the suspect has not, or in another shape, or of numbers beyond all measure. */
  readonly not_read: readonly string[];
  /** Whose rows or columns somebody had multiplied with something, which was undone; absent of a certificate's reading. */
  readonly rescaled?: readonly string[];
  /** Whose rows or columns had been put in another order, which was undone; absent likewise, and without vanilla. */
  readonly reordered?: readonly string[];
  /** That have little in common with the vanilla ones, element by element: no stamp is found there; absent likewise, and without vanilla. */
  readonly unlike?: readonly string[];
}

/** A larger number is written otherwise by some languages, so no certificate holds it. A matrix that has it counts for next to nothing anyway. */
export const MOST_SUM = 2 ** 53 - 1;

/** Matrices unlike the vanilla ones after which no other order is looked for, if none was found. */
const TRIES = 8;

/** With the vanilla model and without it: e-values are averaged, and the one not read is at least 0. */
export const LOG10_WAYS = Math.log10(2);

/**
 * Reads the matrices part by part, with flat memory.
 * @throws WhorlError `mismatch` for a vanilla model that has not the committed matrices
 */
export async function readStamp(
  { plan, keyOf }: DrawnStamp,
  suspect: Model,
  vanilla: Model | undefined,
  onEvent: OnEvent = silent,
): Promise<StampReading> {
  onEvent({ kind: 'phase', name: 'stamp', detail: `read from ${plan.matrices.length} matrices` });
  const suspects = byOwnName(suspect);
  const vanillas = vanilla && byOwnName(vanilla);
  const total = plan.matrices.reduce((sum, { shape }) => sum + elements(shape), 0);
  let done = 0;
  const rescaled: string[] = [];
  const unlike: string[] = [];
  const reordered: string[] = [];
  let order: { readonly residual: Int32Array | undefined } | undefined;
  const residual = (): Int32Array | undefined => {
    const embedding = ({ tensors, decoder }: Model): TensorRef => tensors.get(decoder.embedding)!;
    order ??= { residual: vanilla && residualOrder(embedding(suspect), embedding(vanilla)) };
    return order.residual;
  };
  const readOf = (matrix: StampPlan['matrices'][number]): ReadSums | null => {
    const { name, shape } = matrix;
    done += elements(shape);
    const own = vanillas && vanillaMatrix(vanillas(name), matrix, vanilla!);
    const ref = suspects(name);
    if (!ref || String(ref.shape) !== String(shape)) return null;
    floatDtype(ref);
    // Another model's matrices are in no order: after some of them none is looked for.
    const known = reordered.length > 0 || unlike.length < TRIES ? { residual } : null;
    const found = matrixSums(keyOf(name), ref, own, known);
    const { vanilla_sha256, alike, rescaled: undone, reordered: moved, ...sums } = found;
    if (own && vanilla_sha256 !== matrix.sha256) throw notVanilla(vanilla!, name);
    if (undone) rescaled.push(name);
    if (moved) reordered.push(name);
    if (alike === false) unlike.push(name);
    onEvent({ kind: 'progress', name: 'stamp', done, total });
    return Math.max(sums.squares, Math.abs(sums.dot)) <= MOST_SUM ? sums : null;
  };
  const read: (ReadSums | null)[] = [];
  for (const matrix of plan.matrices) {
    read.push(readOf(matrix));
    await breathe();
  }
  return {
    ...readingFrom(plan, read, vanilla !== undefined),
    rescaled,
    ...(vanilla && { reordered, unlike }),
  };
}

/** @param read one a committed matrix, null where the suspect has not that one */
export function readingFrom(
  { matrices }: StampPlan,
  read: readonly (ReadSums | null)[],
  against_vanilla: boolean,
): StampReading {
  const found = matrices.flatMap(({ name, scale }, i) => (read[i] ? [{ name, scale, sums: read[i] }] : []));
  const z = pooled(found);
  return {
    against_vanilla,
    ...readingOf(
      z,
      found.map(({ sums }) => sums),
    ),
    log10_e: found.length === 0 ? 0 : log10EValue(z) - LOG10_WAYS,
    matrices: found.map(({ name, sums }) => ({ name, ...sums, ...readingOf(zOf(sums), [sums]) })),
    not_read: matrices.flatMap(({ name }, i) => (read[i] ? [] : [name])),
  };
}

function readingOf(z: number, sums: readonly ReadSums[]): Reading {
  const count = (part: 'elements' | 'left_out') => sums.reduce((all, one) => all + one[part], 0);
  return { z, log10_tail: log10Tail(z), elements: count('elements'), left_out: count('left_out') };
}

/** A model's tensors by transformers' names. */
function byOwnName({ decoder, tensors }: Model): (name: string) => TensorRef | undefined {
  const own = ownNames(decoder);
  return (name) => tensors.get(own(name));
}

function vanillaMatrix(
  ref: TensorRef | undefined,
  { name, dtype, shape }: StampPlan['matrices'][number],
  vanilla: Model,
): TensorRef {
  if (!ref || ref.dtype !== dtype || String(ref.shape) !== String(shape)) throw notVanilla(vanilla, name);
  return ref;
}

const notVanilla = ({ source }: Model, name: string): WhorlError =>
  new WhorlError(
    'mismatch',
    `${source}: ${name} is not the matrix that the claim commits to`,
    'give the vanilla model of this run, byte for byte, or leave --vanilla out',
  );
