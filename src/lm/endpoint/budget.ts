// How much of a server may be used. What a request may cost at most is set aside before it is sent, so that however many are
// under way, what is allowed is never exceeded.

import { WhorlError } from '../../base/error.ts';
import { RequestFailure } from './failures.ts';
import type { EndpointSettings } from './settings.ts';

export interface Spent {
  /** Requests that were sent, failed ones too. */
  readonly queries: number;
  /** As the server counts them, else the most that they can be. */
  readonly tokens: number;
}

/** Set aside for one request, until it is known what it took. */
export interface Share {
  /** @param tokens null where the server did not say: then all that was set aside is gone */
  used(tokens: number | null): void;
}

export class Budget {
  readonly #settings: EndpointSettings;
  #queries = 0;
  #tokens = 0;
  #aside = 0;
  /** Tokens of a server's template and special tokens, beyond a text's bytes: the most that was seen. */
  #template = 0;

  constructor(settings: EndpointSettings) {
    this.#settings = settings;
  }

  /** What an earlier call has used. */
  add({ queries, tokens }: Spent): void {
    this.#queries += queries;
    this.#tokens += tokens;
  }

  get spent(): Spent {
    return { queries: this.#queries, tokens: this.#tokens };
  }

  /**
   * @param bytes of the texts: a token has at least one byte
   * @param answer most tokens of the answer
   * @throws RequestFailure with `over-budget`
   */
  take(bytes: number, answer: number): Share {
    const { most, name } = this.#settings;
    const text = bytes + answer;
    const share = text + this.#template;
    const over = (what: string, flag: string) =>
      new RequestFailure(
        new WhorlError(
          'over-budget',
          `${name}: ${what}`,
          `raise ${flag} and run the same command again: nothing that was answered is asked again`,
        ),
        'all',
      );
    if (this.#queries + 1 > most.queries) throw over(`${this.#queries} queries are used up`, '--max-queries');
    if (this.#tokens + this.#aside + share > most.tokens)
      throw over(
        `${this.#tokens} tokens are used and ${this.#aside} set aside, another query may take ${share}, and ${most.tokens} are allowed`,
        '--max-tokens-total or --max-cost',
      );
    this.#queries++;
    this.#aside += share;
    return {
      used: (tokens) => {
        this.#aside -= share;
        this.#tokens += tokens ?? share;
        this.#template = Math.max(this.#template, (tokens ?? 0) - text);
      },
    };
  }
}
