// Rows that cannot be answered: an error in the place of the answer, and the command ends with 1 after the last row.

import { WhorlError } from '../base/error.ts';
import { paint, print, printJson, shownText } from './output.ts';

/** Counts what failed; prints each error where its result would stand. */
export class RowErrors {
  #first: WhorlError | undefined;
  #count = 0;

  /** @param named where the input has rows: `FILE: row 7`, unless the message says so already */
  show(error: WhorlError, json: boolean, named?: string): void {
    const message =
      named === undefined || error.message.startsWith(named) ? error.message : `${named}: ${error.message}`;
    this.#first ??= new WhorlError(error.code, message);
    this.#count++;
    if (json) printJson({ error: { code: error.code, message } });
    else print(`${paint.red('error')}  ${shownText(message, 400)}`);
  }

  /** @throws WhorlError in one line that tells how many failed and why the first did */
  end(rows: number): void {
    if (this.#first === undefined) return;
    throw new WhorlError(
      this.#first.code === 'usage' ? 'bad-file' : this.#first.code, // rows are no flags: exit code 1
      `${this.#count} of ${rows} rows failed, the others are answered; the first: ${this.#first.message}`,
    );
  }
}
