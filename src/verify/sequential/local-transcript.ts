// What a suspect whose weights lie here answered key by key, kept as a server's answers are: another call goes on from it.

import { sha256Hex } from '../../base/sha256.ts';
import type { TextRequest } from '../../lm/language-model.ts';
import { type Bound, Transcript, transcriptBeside } from '../endpoint/transcript.ts';
import type { VerifyOptions } from '../report.ts';
import { keptWarning } from '../warnings.ts';

export interface Answered {
  readonly generated: string;
  readonly generated_token: readonly number[];
}

export interface AskedBefore {
  /** Answers in order; those that are kept, as texts, are not asked for again. @param from place of the first of them */
  asked(
    requests: readonly TextRequest[],
    from: number,
    ask: (left: readonly TextRequest[]) => Promise<readonly Answered[]>,
  ): AsyncIterable<Pick<Answered, 'generated'> & Partial<Answered>>;
  /** Notes a verdict. @returns how many there were */
  look(stopped: string, keys: number): number;
  /** What a reader of the verdict must know: answers that were read and not asked for in this call. */
  readonly warnings: readonly string[];
  close(): void;
}

/** @throws WhorlError `mismatch` for a transcript that was changed since */
export function askedBefore({ secret }: VerifyOptions, bound: Bound): AskedBefore {
  const transcript = new Transcript(transcriptBeside(secret, bound), bound);
  const digest = (request: TextRequest): string => sha256Hex(JSON.stringify(request));
  return {
    async *asked(requests, from, ask) {
      const kept = requests.map((request, i) => transcript.find(from + i, digest(request))?.texts[0]);
      const left = requests.flatMap((_, i) => (kept[i] === undefined ? [i] : []));
      const answers = left.length === 0 ? [] : await ask(left.map((i) => requests[i]!));
      for (const [n, i] of left.entries()) {
        const { generated } = answers[n]!;
        transcript.add(from + i, digest(requests[i]!), { texts: [generated], model: '', tokens: null }, 1);
      }
      const fresh = new Map(left.map((i, n) => [i, answers[n]!]));
      yield* kept.map((generated, i) => fresh.get(i) ?? { generated: generated! });
    },
    look: (stopped, keys) => transcript.look(stopped, keys),
    get warnings() {
      return keptWarning(transcript.found, transcript.path);
    },
    close: () => transcript.close(),
  };
}
