// Decoding of a model whose cache does not hold beyond some length (`recomputedBeyond`): up to there, then from there on
// with the whole text as a new prompt.

import type { DecodeOptions, SampleRequest } from './decode-request.ts';

type Decode = <R extends SampleRequest>(
  requests: readonly R[],
  options: DecodeOptions<R>,
) => Promise<number[][][]>;

interface Grown<R> extends SampleRequest {
  readonly origin: R;
  /** What it has been given already, at the end of `tokens`. */
  readonly made: readonly number[];
  readonly at: readonly [request: number, sample: number];
}

/** Continuations as `decode` gives them; each sequence's own length decides when its cache is made anew. */
export async function decodeRenewing<R extends SampleRequest>(
  beyond: number,
  requests: readonly R[],
  options: DecodeOptions<R>,
  decode: Decode,
): Promise<number[][][]> {
  const { maxNewTokens, stopped } = options;
  // The token after `beyond` ones is the last that follows from the old cache.
  const room = ({ tokens }: R): number =>
    tokens.length > beyond ? maxNewTokens : Math.min(maxNewTokens, beyond - tokens.length + 1);
  const results: number[][][] = requests.map(() => []);
  const grown: Grown<R>[] = [];
  for (const [most, places] of grouped(requests, room)) {
    const own = places.map((i) => requests[i]!);
    const decoded = await decode(own, { ...options, maxNewTokens: most });
    places.forEach((i, n) => {
      results[i] = decoded[n]!;
      const { tokens, uniforms } = requests[i]!;
      decoded[n]!.forEach((made, sample) => {
        if (made.length < most || most === maxNewTokens) return;
        grown.push({
          ...requests[i]!,
          tokens: [...tokens, ...made],
          uniforms: [uniforms[sample]!.subarray(most)],
          origin: requests[i]!,
          made,
          at: [i, sample],
        });
      });
    });
  }
  for (const [left, places] of grouped(grown, ({ made }) => maxNewTokens - made.length)) {
    const own = places.map((i) => grown[i]!);
    const decoded = await decode(own, {
      ...options,
      maxNewTokens: left,
      stopped:
        stopped &&
        ((running) =>
          stopped(
            running.map(({ request, tokens }) => ({
              request: request.origin,
              tokens: [...request.made, ...tokens],
            })),
          )),
    });
    own.forEach(({ at: [request, sample], made }, n) => {
      results[request]![sample] = [...made, ...decoded[n]![0]!];
    });
  }
  return results;
}

/** Indices of the items by what `key` says of them. */
function grouped<T>(items: readonly T[], key: (item: T) => number): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  items.forEach((item, i) => groups.set(key(item), [...(groups.get(key(item)) ?? []), i]));
  return groups;
}
