// When a request is tried again: for failures of the transport only, never for what an answer says, so that no hit and no
// miss steers how often a key is asked. A server that asks for time is given it by all requests.

import { checkAborted, untilAborted } from '../../base/abort.ts';
import { RequestFailure } from './failures.ts';
import type { EndpointSettings } from './settings.ts';

const FIRST_WAIT = 500; // ms, then doubled
const LONGEST_WAIT = 30_000;
const LONGEST_RETRY_AFTER = 120_000; // a Retry-After above this ends the tries
/** Requests that fail for good, one after the other with no answer in between: then the server is gone. */
const MOST_IN_A_ROW = 3;

export class Tries {
  readonly #settings: EndpointSettings;
  /** Nothing is sent before this moment. */
  #notBefore = 0;
  #failedInARow = 0;

  constructor(settings: EndpointSettings) {
    this.#settings = settings;
  }

  /** @throws RequestFailure when no try is left, `aborted` */
  async persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (
      let left = this.#settings.attempts - 1, wait = FIRST_WAIT;
      ;
      left--, wait = Math.min(LONGEST_WAIT, 2 * wait)
    ) {
      await this.#untilAllowed();
      try {
        const got = await attempt();
        this.#failedInARow = 0;
        return got;
      } catch (cause) {
        checkAborted();
        if (!(cause instanceof RequestFailure) || cause.reach !== 'again') throw cause;
        if (left <= 0 || (cause.wait ?? 0) > LONGEST_RETRY_AFTER) throw this.#givenUp(cause);
        if (cause.wait !== undefined) this.#notBefore = Math.max(this.#notBefore, Date.now() + cause.wait);
        await untilAborted(this.#settings.sleep(cause.wait ?? wait));
      }
    }
  }

  /** One request is lost; several on end, and no other will do better. */
  #givenUp({ error }: RequestFailure): RequestFailure {
    return new RequestFailure(error, ++this.#failedInARow >= MOST_IN_A_ROW ? 'all' : 'request');
  }

  async #untilAllowed(): Promise<void> {
    const wait = this.#notBefore - Date.now();
    if (wait > 0) await untilAborted(this.#settings.sleep(wait));
  }
}
