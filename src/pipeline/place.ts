// Where a pipeline works and what it looks at: the run folder, its ledger, the device, and the models, whose digests are
// taken from their bytes once a call.

import type { OnEvent } from '../base/events.ts';
import type { Device } from '../engine/session.ts';
import type { Model } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import type { RunFolder } from '../runs/run-folder.ts';
import type { VanillaDigests } from '../verify/exactness.ts';
import { digestsOfModel } from '../verify/machine.ts';
import type { Ledger } from './ledger.ts';

interface Place extends ConfigOptions {
  readonly cacheDir?: string;
  readonly device: Device;
  readonly onEvent: OnEvent;
}

/** A run that has its fingerprint. */
export interface RunPlace extends Place {
  readonly run: RunFolder;
  readonly ledger: Ledger;
  readonly models: Models;
  /** A folder, a GGUF file or a hub id. */
  readonly vanilla: string;
}

/** Of options that also hold others, what opens a model. */
export const opening = ({ cacheDir, ...options }: ConfigOptions & { readonly cacheDir?: string }) => ({
  ...(cacheDir ? { cacheDir } : {}),
  ...configOptions(options),
});

/** Digests of models by name, each read once. */
export class Models {
  readonly #digests = new Map<string, Promise<VanillaDigests>>();
  constructor(readonly how: ConfigOptions & { readonly cacheDir?: string }) {}

  open(name: string): Promise<Model> {
    return openModel(name, opening(this.how));
  }

  /** SHA-256 of weights, tokenizer files and config files. @throws what opening the model throws */
  digests(name: string): Promise<VanillaDigests> {
    let digests = this.#digests.get(name);
    if (!digests) {
      digests = this.open(name).then(digestsOfModel);
      this.#digests.set(name, digests);
    }
    return digests;
  }
}

/** Which of a model's parts are others, in words; a part that was never noted is passed. */
export const otherParts = (
  now: VanillaDigests,
  was: { readonly [P in keyof VanillaDigests]?: string | undefined },
): string[] =>
  (['weights', 'tokenizer', 'config'] as const).filter(
    (part) => was[part] !== undefined && was[part] !== now[part],
  );
