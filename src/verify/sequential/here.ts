// The stopped test of a suspect whose weights lie here: what was answered in an earlier call is not asked again.

import type { Opened } from '../../claim/open.ts';
import type { TextRequest } from '../../lm/language-model.ts';
import type { Verdict } from '../verdict.ts';
import { decideInTurn, type Turns } from './in-turn.ts';
import type { Answered, AskedBefore } from './local-transcript.ts';

/** An answer; its tokens are not known of one that was kept as a text. */
export type Generated = Pick<Answered, 'generated'> & Partial<Answered>;

export interface AskingHere extends Pick<Turns, 'options'> {
  /** Closed when all is asked. */
  readonly before: AskedBefore;
  readonly requests: readonly TextRequest[];
  ask(left: readonly TextRequest[]): Promise<readonly Answered[]>;
  /** Takes in the answers. */
  readonly generations: Generated[];
}

/** Asked together here, where nobody learns the keys: a batch costs little more than one of them. */
const AT_A_TIME = 8;

/** As `decideInTurn`. */
export async function decideHere(
  opened: Opened,
  deciding: Parameters<typeof decideInTurn>[1],
  { options, before, requests, ask, generations }: AskingHere,
): Promise<{ readonly verdict: Verdict; readonly warnings: readonly string[] }> {
  try {
    const verdict = await decideInTurn(opened, deciding, {
      options,
      atATime: AT_A_TIME,
      async *ask(from, to) {
        for await (const answer of before.asked(requests.slice(from, to), from, ask)) {
          generations.push(answer);
          yield answer.generated;
        }
      },
      look: before.look,
    });
    return { verdict, warnings: before.warnings };
  } finally {
    before.close();
  }
}
