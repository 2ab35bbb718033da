// A decoder whose tensors a folder calls otherwise than transformers does: saved without the head's class, or as the
// language part of a model that also sees.

import type { Decoder } from './family.ts';

/** Beginnings of transformers' names and what stands for them; the first that fits counts. */
export type Renaming = readonly (readonly [from: string, to: string])[];

interface Stored {
  has(name: string): boolean;
}

/**
 * The decoder by the names of the folder: transformers' own where it has them, else the first of `others` under which the
 * embedding or the head is there. A model without its head's class (`AutoModel`) lacks its names' first part.
 */
export function asStored<D extends Decoder>(decoder: D, stored: Stored, others: readonly Renaming[] = []): D {
  const candidates = [decoder, ...others.map((renaming) => renamed(decoder, renaming))];
  const withoutClass = candidates.map((candidate) => {
    const first = candidate.embedding.slice(0, candidate.embedding.indexOf('.') + 1);
    return renamed(candidate, [[first, '']]);
  });
  const all = [...candidates, ...withoutClass];
  const found = all.find(({ embedding }) => stored.has(embedding));
  return found ?? all.find(({ ownHead }) => stored.has(ownHead)) ?? decoder; // a tied head may stand for the embedding
}

/** The decoder of which transformers itself has the names so. */
export function called<D extends Decoder>(decoder: D, renaming: Renaming): D {
  return { ...renamed(decoder, renaming), canonical: (name: string) => name };
}

/** transformers' name of a tensor → the folder's; any other stays as it is. */
export function ownNames({
  shapes,
  canonical,
}: Pick<Decoder, 'shapes' | 'canonical'>): (name: string) => string {
  const own = new Map(canonical ? [...shapes.keys()].map((name) => [canonical(name), name]) : []);
  return (name) => own.get(name) ?? name;
}

/** The decoder with every tensor under its new name. */
function renamed<D extends Decoder>(decoder: D, renaming: Renaming): D {
  const to = (name: string): string => {
    const [from, instead] = renaming.find(([beginning]) => name.startsWith(beginning)) ?? ['', ''];
    return instead + name.slice(from.length);
  };
  const canonical = new Map(
    [...decoder.shapes.keys()].map((name) => [to(name), decoder.canonical?.(name) ?? name]),
  );
  const before = new Map([...decoder.shapes.keys()].map((name) => [to(name), name]));
  return {
    ...decoder,
    shapes: new Map([...decoder.shapes].map(([name, shape]) => [to(name), shape])),
    embedding: to(decoder.embedding),
    head: to(decoder.head),
    ownHead: to(decoder.ownHead),
    ...(decoder.headBias !== undefined && { headBias: to(decoder.headBias) }),
    ...(decoder.positionTable !== undefined && { positionTable: to(decoder.positionTable) }),
    ...(decoder.transposed && {
      transposed: (name: string) => decoder.transposed?.(before.get(name) ?? name) ?? false,
    }),
    canonical: (name: string) => canonical.get(name) ?? name,
    layer: (index: number) => to(decoder.layer(index)),
    hidden: (weights, x, input) => decoder.hidden((name) => weights(to(name)), x, input),
  };
}
