// What a stamp commits to, alone or beside keys: the matrices of a part of the model, their digests and how much of the
// direction each gets.

import { WhorlError } from '../base/error.ts';
import type { StampPlan } from '../claim/stamp.ts';
import type { Model } from '../models/model.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { figuresOf } from '../stamp/stamp-tensor.ts';
import { bindTrains } from '../train/trains.ts';
import { partNamed } from './methods/parts.ts';

/** What of a method's settings says how it is stamped; `stamp` is a word of `part`, or `OFF`. */
export interface BesideSettings {
  readonly stamp?: string;
  readonly epsilon?: number;
}

/** No stamp beside the keys. */
const OFF = 'off';

/** Names and shapes of the part's matrices. @throws WhorlError `usage` for what is no part of this model */
function matricesOf(part: string, model: Model, setting: string): [own: string, shape: readonly number[]][] {
  return [...bindTrains(partNamed(part, model, setting), model).shapes].filter(
    ([, shape]) => shape.length >= 2,
  );
}

/** Before anything is read or written. @throws WhorlError `usage` for a stamp that this model cannot have */
export function checkPart(part: string, model: Model, setting = 'part'): void {
  if (matricesOf(part, model, setting).length === 0) throw noMatrix(setting, part);
}

/** The same of a stamp beside keys. */
export function checkBeside({ stamp = OFF }: BesideSettings, model: Model): void {
  if (stamp !== OFF) checkPart(stamp, model, 'stamp');
}

/** Beside keys; undefined where it is left out. Reads each matrix once. */
export const planBeside = (
  { stamp = OFF, epsilon = 0 }: BesideSettings,
  model: Model,
): StampPlan | undefined =>
  stamp === OFF ? undefined : stampPlan(model, { part: stamp, epsilon, setting: 'stamp' });

/**
 * What a stamp of this model commits to: every matrix of the part that is not constant. Reads each once.
 * @param setting by which the part was named
 * @throws WhorlError `usage` where the part has none
 */
export function stampPlan(
  model: Model,
  { part, epsilon, setting = 'part' }: { part: string; epsilon: number; setting?: string },
): StampPlan {
  const { decoder, tensors } = model;
  const matrices = matricesOf(part, model, setting).flatMap(([own, shape]) => {
    const ref = tensors.get(own)!;
    const { sha256, deviation } = figuresOf(ref);
    const name = decoder.canonical?.(own) ?? own;
    const scale = epsilon * deviation;
    return scale > 0 ? [{ name, dtype: floatDtype(ref), shape: [...shape], sha256, scale }] : [];
  });
  if (matrices.length === 0) throw noMatrix(setting, part);
  return { direction: 'shake256-normal-v1', epsilon, matrices };
}

const noMatrix = (setting: string, part: string): WhorlError =>
  new WhorlError(
    'usage',
    `${setting}=${part} has no matrix that a stamp could go into`,
    setting === 'part' ? 'take part=mlp' : `take ${setting}=mlp, or ${setting}=off`,
  );
