// A committed stamp read from a suspect's weights, matrix by matrix, against the owner's vanilla model or without it.

import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import type { DrawnStamp, StampPlan } from '../claim/stamp.ts';
import type { Model } from '../models/model.ts';
import { ownNames } from '../models/names.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { type MatrixSums, matrixSums, pooled, zOf } from '../stamp/read-stamp.ts';
import { log10EValue, log10Tail } from '../stamp/tail.ts';
import type { TensorRef } from '../tensor/tensor.ts';

/** What a matrix or several of them say. */
interface Reading {
  /** Standard normal where the suspect does not know the direction. */
  readonly z: number;
  /** log10 P(G >= z), one-sided. */
  readonly log10_tail: number;
  readonly elements: number;
  /** Exact zeros and what is no number. */
  readonly left_out: number;
}

export interface StampReading extends Reading {
  /** Whether the suspect was read against the owner's vanilla model. */
  readonly against_vanilla: boolean;
  /** log10 of the e-value of z, halved: both ways of reading are paid for. */
  readonly log10_e: number;
  readonly matrices: readonly (Reading & { readonly name: string })[];
  /** Committed matrices that the suspect has not, or in another shape. */
  readonly not_read: readonly string[];
}

/** With the vanilla model and without it: e-values are averaged, and the one not read is at least 0. */
export const LOG10_WAYS = Math.log10(2);

/**
 * Reads each byte of the matrices once, with flat memory.
 * @throws WhorlError `mismatch` for a vanilla model that has not the committed matrices
 */
export function readStamp(
  { plan, keyOf }: DrawnStamp,
  suspect: Model,
  vanilla: Model | undefined,
  onEvent: OnEvent = silent,
): StampReading {
  onEvent({ kind: 'phase', name: 'stamp', detail: `read from ${plan.matrices.length} matrices` });
  const suspects = byOwnName(suspect);
  const vanillas = vanilla && byOwnName(vanilla);
  const total = plan.matrices.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  let done = 0;
  const read: { name: string; scale: number; sums: MatrixSums }[] = [];
  const not_read: string[] = [];
  for (const matrix of plan.matrices) {
    const { name, scale, shape } = matrix;
    done += shape.reduce((a, b) => a * b, 1);
    const own = vanillas && vanillaMatrix(vanillas(name), matrix, vanilla!);
    const ref = suspects(name);
    if (!ref || String(ref.shape) !== String(shape)) {
      not_read.push(name);
      continue;
    }
    floatDtype(ref);
    const sums = matrixSums(keyOf(name), ref, own);
    if (own && sums.vanilla_sha256 !== matrix.sha256) throw notVanilla(vanilla!, name);
    read.push({ name, scale, sums });
    onEvent({ kind: 'progress', name: 'stamp', done, total });
  }
  const z = pooled(read);
  return {
    against_vanilla: vanilla !== undefined,
    ...readingOf(
      z,
      read.map(({ sums }) => sums),
    ),
    log10_e: read.length === 0 ? 0 : log10EValue(z) - LOG10_WAYS,
    matrices: read.map(({ name, sums }) => ({ name, ...readingOf(zOf(sums), [sums]) })),
    not_read,
  };
}

function readingOf(z: number, sums: readonly MatrixSums[]): Reading {
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
