// Learning-rate schedules as values: what the rate is multiplied with at a step, as in Hugging Face's schedulers.

export type ScheduleName = 'constant' | 'linear' | 'cosine';

/** step counts from 0; rises over `warmup` steps, then falls to 0 at `total` (constant: stays 1). */
export type Schedule = (step: number, total: number, warmup: number) => number;

const warmed =
  (after: (progress: number) => number): Schedule =>
  (step, total, warmup) =>
    step < warmup ? step / warmup : after((step - warmup) / Math.max(1, total - warmup));

export const SCHEDULES: Readonly<Record<ScheduleName, Schedule>> = {
  constant: warmed(() => 1),
  linear: warmed((progress) => Math.max(0, 1 - progress)),
  cosine: warmed((progress) => Math.max(0, 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress))))),
};

/**
 * Steps after which a training of `steps` goes on where nothing holds: as many again as it has taken, so that each wave
 * begins with half the rate (of as many as at first, with an ever smaller one, which leaves no key that stands still).
 */
export const waveEnd = (wave: number, steps: number): number => steps * 2 ** wave;

/** First step of the wave that this step (from 0) is of. */
export function waveStart(step: number, steps: number): number {
  let start = 0;
  for (let wave = 0; waveEnd(wave, steps) <= step; wave++) start = waveEnd(wave, steps);
  return start;
}
