// Keys and values of wrapper prefixes, computed once: no trained row occurs in them, so in training they are constants.

import type { Device } from '../engine/session.ts';
import { Encoder } from '../models/encode.ts';
import type { CachedPrefix } from '../models/example.ts';
import type { ModelWeights } from '../models/model.ts';

/** What begins the examples of a batch, undefined where nothing does. */
export interface Prefixes {
  of(prefixes: readonly (readonly number[])[]): Promise<(CachedPrefix | undefined)[]>;
}

/** Prefixes by their tokens alone: what is only shown, or computed by another engine, needs no keys and values. */
export const PREFIX_TOKENS: Prefixes = {
  of: (prefixes) =>
    Promise.resolve(
      prefixes.map((tokens) =>
        tokens.length === 0 ? undefined : { length: tokens.length, tokens, layers: [] },
      ),
    ),
};

const MAX_BYTES = 512 * 2 ** 20;
const BATCH = 16;

export class PrefixCache implements Prefixes {
  readonly #encoder: Encoder;
  readonly #known = new Map<string, CachedPrefix>();
  #bytes = 0;
  constructor(model: ModelWeights, device: Device) {
    this.#encoder = new Encoder(model, undefined, device);
  }

  /** The cache of each prefix, undefined for an empty one; those not known yet are computed in one run. */
  async of(prefixes: readonly (readonly number[])[]): Promise<(CachedPrefix | undefined)[]> {
    const keys = prefixes.map((tokens) => tokens.join(','));
    const missing = [...new Map(prefixes.map((tokens, i) => [keys[i]!, tokens])).entries()].filter(
      ([key, tokens]) => tokens.length > 0 && !this.#known.has(key),
    );
    for (let at = 0; at < missing.length; at += BATCH) {
      const part = missing.slice(at, at + BATCH);
      const made = await this.#encoder.caches(part.map(([, tokens]) => tokens));
      for (const [i, [key, tokens]] of part.entries())
        this.#keep(key, { length: tokens.length, tokens, layers: made[i]! });
    }
    const found = keys.map((key) => this.#known.get(key));
    this.#forget(new Set(keys));
    return found;
  }

  #keep(key: string, prefix: CachedPrefix): void {
    this.#known.set(key, prefix);
    this.#bytes += sizeOf(prefix);
  }

  /** Drops the oldest until the rest fits, but none in use. */
  #forget(inUse: ReadonlySet<string>): void {
    for (const [key, prefix] of this.#known) {
      if (this.#bytes <= MAX_BYTES) return;
      if (inUse.has(key)) continue;
      this.#known.delete(key);
      this.#bytes -= sizeOf(prefix);
    }
  }

  async release(): Promise<void> {
    await this.#encoder.release();
  }
}

const sizeOf = ({ layers }: CachedPrefix): number =>
  layers.reduce((sum, { keys, values }) => sum + 4 * (keys.length + values.length), 0);
