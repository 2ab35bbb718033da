// What a server answered, as it comes: JSON lines that outlive the process, so that nothing answered is asked again. Each line is
// hashed with the one before; the first binds claim, server, model and settings. Whatever is not as it was written is refused.

import { constants } from 'node:buffer';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { PartialFile, writeFileAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { jsonOrNothing } from '../../base/json.ts';
import { sha256Hex } from '../../base/sha256.ts';
import { wrongField } from '../../claim/shape-error.ts';
import { hex256 } from '../../claim/shapes.ts';
import type { Spent } from '../../lm/endpoint/budget.ts';
import type { KeptReplies } from '../../lm/endpoint/endpoint-model.ts';
import type { Reply } from '../../lm/endpoint/protocol.ts';
import { withReader } from '../../sources/bounded-reader.ts';

/** What all answers of a transcript have in common. */
export type Bound = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** Where transcripts lie unless it is said, one for all that is bound. */
export const transcriptsBeside = (secret: string): string => join(dirname(secret), 'transcripts');
export const transcriptBeside = (secret: string, bound: Bound): string =>
  join(transcriptsBeside(secret), `${sha256Hex(JSON.stringify(bound)).slice(0, 16)}.jsonl`);

const FORMAT = 'whorl-endpoint-transcript-v1';
/** Bytes: it is read as one text. */
const MAX_FILE = constants.MAX_STRING_LENGTH;
const MAX_FIRST_LINE = 1 << 20;
/** Answers after which the file is forced to the disk, and how far it goes is written down beside it. */
const SYNC_EVERY = 64;

const answered = z.strictObject({
  /** Place of the key among those that were asked; which request it was put as. */
  place: z.int().min(0),
  asked: hex256,
  texts: z.array(z.string()),
  model: z.string(),
  tokens: z.int().min(0).nullable(),
  /** Requests that it took. */
  queries: z.int().min(1),
  /** TLS certificates at the other end by then. */
  peers: z.array(hex256).optional(),
  at: z.iso.datetime(),
});
type Answered = z.infer<typeof answered>;
/** A verdict by a test that was stopped: which key it ended at, and why. */
const looked = z.strictObject({
  look: z.int().min(1),
  stopped: z.string().max(64),
  keys: z.int().min(0),
  at: z.iso.datetime(),
});
const begun = z.strictObject({ format: z.literal(FORMAT), bound: z.record(z.string(), z.unknown()) });
const lineSchema = z.strictObject({ entry: z.unknown(), chain: hex256 });
const headSchema = z.strictObject({ lines: z.int().min(1), chain: hex256 });

export class Transcript implements KeptReplies {
  readonly #file: PartialFile;
  readonly #answers = new Map<number, Answered>();
  #chain = sha256Hex(FORMAT);
  #lines = 0;
  #looks = 0;
  #unsynced = 0;
  #found = 0;

  /**
   * Goes on with what stands in `path`, or begins.
   * @throws WhorlError `mismatch` for one of another claim, server, model or setting, and one that was changed since
   */
  constructor(
    readonly path: string,
    bound: Bound,
  ) {
    const head = readHead(this.#headPath);
    this.#file = new PartialFile(path, 0o600);
    try {
      this.#read(bound, head);
    } catch (cause) {
      this.#file.close();
      throw cause;
    }
  }

  /** What the first line of a transcript binds, where one stands in `path`; nothing of it is checked yet. */
  static boundIn(path: string): Readonly<Record<string, unknown>> | undefined {
    if (!existsSync(path)) return undefined;
    const beginning = withReader(path, (reader) =>
      reader.bytes(Math.min(reader.size, MAX_FIRST_LINE), 'its first line'),
    );
    const [first] = Buffer.from(beginning).toString('utf8').split('\n', 1);
    const line = lineSchema.safeParse(jsonOrNothing(first!));
    const read = begun.safeParse(line.data?.entry);
    return read.data?.bound;
  }

  /** Hash of the last line: whoever has it can tell that nothing was changed or cut since. */
  get chain(): string {
    return this.#chain;
  }

  get answers(): number {
    return this.#answers.size;
  }

  /** Answers that were read in place of asking. */
  get found(): number {
    return this.#found;
  }

  /** Of all that was answered so far; failed tries of what was not are forgotten. */
  get spent(): Spent {
    const all = [...this.#answers.values()];
    return {
      queries: all.reduce((sum, { queries }) => sum + queries, 0),
      tokens: all.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0),
    };
  }

  /** When the first and the last of the answers came. */
  get times(): { readonly from: string; readonly to: string } | null {
    const times = [...this.#answers.values()].map(({ at }) => at).sort();
    return times.length === 0 ? null : { from: times[0]!, to: times.at(-1)! };
  }

  find(place: number, asked: string): Reply | undefined {
    const found = this.#answers.get(place);
    if (found && found.asked !== asked) throw this.#wrong(`has another question in place ${place + 1}`);
    if (found) this.#found++;
    return found;
  }

  add(place: number, asked: string, { texts, model, tokens, peers = [] }: Reply, queries: number): void {
    const at = new Date().toISOString();
    const ofTls = peers.length > 0 ? { peers: [...peers] } : {};
    const entry = { place, asked, texts: [...texts], model, tokens, queries, ...ofTls, at };
    this.#answers.set(place, entry);
    this.#append(entry);
    if (++this.#unsynced >= SYNC_EVERY) this.sync();
  }

  /** Notes a verdict out of what was answered so far. @returns how many there were */
  look(stopped: string, keys: number): number {
    this.#append({ look: ++this.#looks, stopped, keys, at: new Date().toISOString() });
    return this.#looks;
  }

  sync(): void {
    this.#file.sync();
    this.#unsynced = 0;
    writeFileAtomic(this.#headPath, `${JSON.stringify({ lines: this.#lines, chain: this.#chain })}\n`, 0o600);
  }

  close(): void {
    this.sync();
    this.#file.close();
  }

  get #headPath(): string {
    return `${this.path}.head`;
  }

  #append(entry: unknown): void {
    this.#link(entry);
    this.#file.append(new TextEncoder().encode(`${JSON.stringify({ entry, chain: this.#chain })}\n`));
  }

  #link(entry: unknown): void {
    this.#chain = sha256Hex(this.#chain, JSON.stringify(entry));
    this.#lines++;
  }

  #read(bound: Bound, head: z.infer<typeof headSchema> | undefined): void {
    if (this.#file.size > MAX_FILE) throw this.#wrong(`has more than ${MAX_FILE} bytes`);
    const bytes = this.#file.whole();
    // A line that was being written when the process ended has no end: what it would have said is asked again.
    const whole = bytes.lastIndexOf(10) + 1;
    const lines = bytes.subarray(0, whole).toString('utf8').split('\n').slice(0, -1);
    if (lines.length === 0 && !head) {
      this.#file.clear();
      this.#append({ format: FORMAT, bound });
      this.sync();
      return;
    }
    // Ended between its first line and the note of it: nothing was answered yet.
    let seen = head === undefined && lines.length === 1;
    for (const [i, line] of lines.entries()) {
      const entry = this.#entry(line, i + 1);
      if (i === 0) this.#checkBound(entry, bound);
      else this.#take(entry, i + 1);
      seen ||= head !== undefined && head.lines === this.#lines && head.chain === this.#chain;
    }
    if (!seen)
      throw this.#wrong(
        'is not the one whose length was noted beside it: lines are missing, or it was replaced',
      );
    if (whole < bytes.length) this.#file.cut(whole);
    this.sync();
  }

  #entry(line: string, number: number): unknown {
    const value = jsonOrNothing(line);
    const read = lineSchema.safeParse(value);
    if (!read.success)
      throw this.#wrong(`cannot be read in line ${number}: ${wrongField(read.error, value)}`);
    this.#link(read.data.entry);
    if (read.data.chain !== this.#chain) throw this.#wrong(`was changed in line ${number} or before it`);
    return read.data.entry;
  }

  #checkBound(entry: unknown, bound: Bound): void {
    const read = begun.safeParse(entry);
    if (!read.success)
      throw this.#wrong(`does not begin as a transcript of this version: ${wrongField(read.error, entry)}`);
    const names = new Set([...Object.keys(bound), ...Object.keys(read.data.bound)]);
    for (const name of names)
      if (JSON.stringify(read.data.bound[name]) !== JSON.stringify(bound[name]))
        throw this.#wrong(`belongs to another ${name.replaceAll('_', ' ')}`);
  }

  #take(entry: unknown, number: number): void {
    // A verdict's line is one that counts looks, or one that says why asking stopped: no answer does.
    if (typeof entry === 'object' && entry !== null && ('look' in entry || 'stopped' in entry)) {
      const look = looked.safeParse(entry);
      if (!look.success)
        throw this.#wrong(`cannot be read in line ${number}: ${wrongField(look.error, entry)}`);
      if (look.data.look !== ++this.#looks) throw this.#wrong(`counts its looks wrong in line ${number}`);
      return;
    }
    const read = answered.safeParse(entry);
    if (!read.success)
      throw this.#wrong(`cannot be read in line ${number}: ${wrongField(read.error, entry)}`);
    if (this.#answers.has(read.data.place)) throw this.#wrong(`answers a key twice, in line ${number}`);
    this.#answers.set(read.data.place, read.data);
  }

  #wrong(what: string): WhorlError {
    return new WhorlError(
      'mismatch',
      `${this.path} ${what}`,
      'restore it, or name another place with --transcript; then all keys are asked anew',
    );
  }
}

function readHead(path: string): z.infer<typeof headSchema> | undefined {
  if (!existsSync(path)) return undefined;
  const value = jsonOrNothing(readFileSync(path, 'utf8'));
  const read = headSchema.safeParse(value);
  if (!read.success)
    throw new WhorlError(
      'bad-file',
      `${path} is no note of a transcript: ${wrongField(read.error, value)}`,
      'restore it, or remove both files',
    );
  return read.data;
}
