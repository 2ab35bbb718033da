// What torch-child.ts does of a job whose rows are laid over a model: by our own trainer, out of what the job's files say alone.

import { cpu } from '../../src/engine/session.ts';
import { PrefixCache } from '../../src/fingerprint/prefix-cache.ts';
import type { Example, Label } from '../../src/models/example.ts';
import type { Model } from '../../src/models/model.ts';
import { shares } from '../../src/train/noise.ts';
import type { AdamW } from '../../src/train/optimiser.ts';
import { type LossWeights, type Reference, RowsTrainer } from '../../src/train/rows.ts';
import type { TrainState } from '../../src/train/step.ts';

type Arrays = Readonly<Record<string, Int32Array | Float32Array>>;

export interface LaidOver {
  readonly kind: 'overlay';
  readonly rows: number;
  readonly width: number;
  readonly groups: number | null;
  readonly scale: number | null;
  readonly positions: number | null;
  readonly loss: LossWeights;
}

/** Of either trainer what a job asks for; `wanted`: mean loss of wanted labels. */
export interface Steps {
  start(): TrainState;
  step(
    state: TrainState,
    batch: readonly Example[],
    rate: number,
  ): Promise<{ state: TrainState; loss: number; wanted?: number }>;
  release(): Promise<void>;
}

/** What an example has beside tokens and wanted labels. @param of a thing of its labels */
export function laidOver(
  example: Example,
  parts: Arrays,
  i: number,
  of: (name: string) => number[],
): Example {
  const [kinds, others, before] = [of('label_kinds'), of('label_alternatives'), parts.befores![i]!];
  const variant = parts.variants![i]!;
  const labels = example.labels.map(
    (label, l): Label => ({
      ...label,
      row: label.row - before,
      kind: kinds[l] === 1 ? 'hush' : 'fire',
      ...(others[l]! >= 0 && { alternative: others[l]! }),
    }),
  );
  return {
    tokens: example.tokens.slice(before),
    labels,
    variant: { rows: (variant & 1) !== 0, adapter: (variant & 2) !== 0 },
    ...(before > 0 && {
      prefix: { length: before, tokens: example.tokens.slice(0, before), layers: [] },
    }),
  };
}

export async function overlayTrainer(
  model: Model,
  { rows, width, groups, scale, positions, loss }: LaidOver,
  settings: AdamW,
  parts: Arrays,
): Promise<Steps> {
  const floats = (name: string) => parts[name] as Float32Array;
  const A = parts.adapter_A as Float32Array | undefined;
  const vanilla = floats('vanilla');
  const reference: Reference | undefined =
    positions === null
      ? undefined
      : {
          ...{ count: positions, hidden: floats('ref_hidden'), weight: floats('ref_weight') },
          probability: floats('ref_probability'),
          ...(parts.ref_products && { products: floats('ref_products') }),
        };
  const trainer = await RowsTrainer.compile(model, {
    overlay: {
      ...{ ids: parts.ids as Int32Array, rows: vanilla },
      ...(A && { adapter: { rank: A.length / width, scale: scale!, A, B: floats('adapter_B') } }),
    },
    vanilla,
    ...(groups !== null && { groups: { count: groups, of: parts.group_of as Int32Array } }),
    ...(parts.metric && { metric: floats('metric') }),
    ...(reference && { reference }),
    ...{ settings, device: cpu },
  });
  const cache = new PrefixCache(model, cpu);
  return {
    start: () => trainer.start(),
    async step(state, examples, rate) {
      const prefixes = await cache.of(examples.map(({ prefix }) => prefix?.tokens ?? []));
      const batch = examples.map((one, i) => ({ ...one, ...(prefixes[i] && { prefix: prefixes[i] }) }));
      const drawn = shares(
        parts.noise_shares![state.step]!,
        parts.noise_seeds![state.step]! >>> 0,
        rows * width,
      );
      const taken = await trainer.step(state, batch, rate, loss, drawn);
      const fired = batch
        .flatMap(({ labels }) => labels)
        .flatMap(({ kind }, i) => (kind === 'fire' ? [taken.logprobs[i]!] : []));
      return { ...taken, wanted: -fired.reduce((a, b) => a + b, 0) / fired.length };
    },
    async release() {
      await trainer.release();
      await cache.release();
    },
  };
}
