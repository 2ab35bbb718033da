// What a suspect whose weights lie here answered key by key, kept as a server's answers are: another call goes on from it.

import { sha256Hex } from '../../base/sha256.ts';
import type { TextRequest } from '../../lm/language-model.ts';
import { type Bound, Transcript, transcriptBeside } from '../endpoint/transcript.ts';
import type { VerifyOptions } from '../report.ts';

export interface AskedBefore {
  /** Answers in order; those that are kept are not asked for again. @param from place of the first of them */
  asked(
    requests: readonly TextRequest[],
    from: number,
    ask: (left: readonly TextRequest[]) => Promise<readonly { readonly generated: string }[]>,
  ): AsyncIterable<string>;
  /** Notes a verdict. @returns how many there were */
  look(stopped: string, keys: number): number;
  /** What a reader of the verdict must know: answers that were read and not asked for in this call. */
  readonly warnings: readonly string[];
  close(): void;
}

/** @throws WhorlError `mismatch` for a transcript that was changed since */
export function askedBefore({ secret }: VerifyOptions, bound: Bound): AskedBefore {
  const transcript = new Transcript(transcriptBeside(secret, bound), bound);
  let read = 0;
  const digest = (request: TextRequest): string => sha256Hex(JSON.stringify(request));
  return {
    async *asked(requests, from, ask) {
      const kept = requests.map((request, i) => transcript.find(from + i, digest(request))?.texts[0]);
      read += kept.filter((answer) => answer !== undefined).length;
      const left = requests.flatMap((_, i) => (kept[i] === undefined ? [i] : []));
      const answers = left.length === 0 ? [] : await ask(left.map((i) => requests[i]!));
      for (const [n, i] of left.entries()) {
        const { generated } = answers[n]!;
        transcript.add(from + i, digest(requests[i]!), { texts: [generated], model: '', tokens: null }, 1);
        kept[i] = generated;
      }
      yield* kept as string[];
    },
    look: (stopped, keys) => transcript.look(stopped, keys),
    get warnings() {
      return read === 0
        ? []
        : [
            `${read} answers were given in an earlier call and read from ${transcript.path}: whoever could write there could write them. Without that file all are asked anew.`,
          ];
    },
    close: () => transcript.close(),
  };
}
