// What has been answered, as it comes: a file of JSON lines beside the results that outlives the process. A line that was
// being written when it ended is dropped; the rows of all others are never asked again. Only their places are kept in memory.

import { PartialFile } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { Answer } from './answers.ts';

interface Line {
  readonly row: number;
  /** sha256 of all requests of the row. */
  readonly asked: string;
  readonly answer: Answer;
}

interface Place {
  readonly at: number;
  readonly size: number;
}

const LINE_FEED = 10;
/** No answer is as long: what goes on without an end is no journal. */
const MAX_LINE = 2 ** 26;

export class Journal {
  readonly #file: PartialFile;
  readonly #places = new Map<number, Place>();

  /**
   * @param identity what the answers depend on beside their requests: another one begins anew
   * @throws WhorlError `bad-file` for what is no journal
   */
  constructor(path: string, identity: string) {
    this.#file = new PartialFile(path);
    try {
      this.#begin(JSON.stringify({ identity }));
    } catch (cause) {
      this.#file.close();
      throw cause;
    }
  }

  #begin(beginning: string): void {
    let [isOurs, end] = [false, 0];
    for (const { text, at, size } of this.#lines()) {
      if (at === 0) isOurs = text === beginning;
      else this.#take(text, { at, size });
      if (!isOurs) break;
      end = at + size;
    }
    if (!isOurs) {
      this.#file.clear();
      this.#append(beginning);
    } else if (end === this.#file.size) this.#append(''); // the line that was being written ends here
  }

  /** Every line, the last one also where nothing ends it. */
  *#lines(): Generator<Place & { readonly text: string }> {
    let parts: Buffer[] = [];
    let [at, size] = [0, 0];
    const line = () => ({ text: Buffer.concat(parts).toString('utf8'), at, size });
    for (const chunk of this.#file.chunks()) {
      for (let from = 0; from < chunk.length; ) {
        const found = chunk.indexOf(LINE_FEED, from);
        const to = found < 0 ? chunk.length : found;
        parts.push(Buffer.from(chunk.subarray(from, to))); // a copy: its memory is used again
        size += to - from;
        if (size > MAX_LINE)
          throw new WhorlError(
            'bad-file',
            `${this.#file.path} is no journal of an evaluation`,
            'remove it: its rows are asked again',
          );
        from = to + 1;
        if (found < 0) break;
        yield line();
        at += size + 1;
        [parts, size] = [[], 0];
      }
    }
    if (size > 0) yield line();
  }

  answer(row: number, asked: string): Answer | undefined {
    const place = this.#places.get(row);
    if (!place) return undefined;
    const line = JSON.parse(this.#file.read(place.at, place.size).toString('utf8')) as Line;
    return line.asked === asked ? line.answer : undefined;
  }

  add(row: number, asked: string, answer: Answer): void {
    const line = JSON.stringify({ row, asked, answer } satisfies Line);
    this.#places.set(row, { at: this.#file.size, size: Buffer.byteLength(line) });
    this.#append(line);
  }

  close(): void {
    this.#file.close();
  }

  discard(): void {
    this.#file.discard();
  }

  #append(line: string): void {
    this.#file.append(new TextEncoder().encode(`${line}\n`));
  }

  #take(text: string, place: Place): void {
    try {
      const { row } = JSON.parse(text) as Line;
      this.#places.set(row, place);
    } catch {
      // written in part, when the process ended or the disk was full: asked again
    }
  }
}
