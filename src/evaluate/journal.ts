// What has been answered, as it comes: a file of JSON lines beside the results that outlives the process. A line that was
// being written when it ended is dropped; the rows of all others are never asked again.

import { PartialFile } from '../base/atomic.ts';
import type { Answer } from './answers.ts';

interface Line {
  /** sha256 of all requests of the row. */
  readonly asked: string;
  readonly answer: Answer;
}

export class Journal {
  readonly #file: PartialFile;
  readonly #answers = new Map<number, Line>();

  /** @param identity what the answers depend on beside their requests: another one begins anew */
  constructor(path: string, identity: string) {
    this.#file = new PartialFile(path);
    const beginning = JSON.stringify({ identity });
    const [first, ...lines] = this.#file.whole().toString('utf8').split('\n');
    if (first !== beginning) this.#file.clear();
    else for (const line of lines) this.#take(line);
    if (this.#file.size === 0) this.#append(beginning);
    else if (lines.at(-1) !== '') this.#append(''); // ends the line that was being written
  }

  answer(row: number, asked: string): Answer | undefined {
    const line = this.#answers.get(row);
    return line?.asked === asked ? line.answer : undefined;
  }

  add(row: number, asked: string, answer: Answer): void {
    this.#answers.set(row, { asked, answer });
    this.#append(JSON.stringify({ row, asked, answer }));
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

  #take(line: string): void {
    try {
      const { row, asked, answer } = JSON.parse(line) as Line & { row: number };
      this.#answers.set(row, { asked, answer });
    } catch {
      // written in part, when the process ended or the disk was full: asked again
    }
  }
}
