// The tokenizer and the chat template of a model nobody vouches for, in a child process: a heap cap, a memory cap, a
// time limit for every request and a limit on every reply. The child parses the files too; only plain data comes back.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type ErrorCode, WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';
import type { Prompt } from './prompt-tokens.ts';
import type { ChatMessage, Wrapped } from './prompts/chat-template.ts';
import type { Described, Reply, Request } from './sandbox-protocol.ts';
import type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer.ts';

export interface SandboxLimits {
  /** The child's JavaScript heap. A vocabulary of 262,000 entries takes about 200 MB to parse. */
  readonly heap_mb: number;
  /** The child's resident memory, native code included. */
  readonly memory_mb: number;
  readonly open_ms: number;
  /** For each later request. */
  readonly request_ms: number;
  readonly reply_bytes: number;
}

const LIMITS: SandboxLimits = {
  heap_mb: 1024,
  memory_mb: 2048,
  open_ms: 60_000,
  request_ms: 20_000,
  reply_bytes: 2 ** 26,
};
const WATCH_MS = 50;

/** As `Tokenizer`; whatever the child does wrong ends in one `bad-file` and a dead child. */
export interface SandboxedTokenizer extends Tokenizer {
  /** `wrapperNamed` with the suspect's own template. Errors: usage, unsupported, bad-file. */
  wrapped(name: string, system: string | undefined): Promise<Wrapped>;
  /** `promptOfTurns` with the suspect's own template. Errors: unsupported, bad-file. */
  turns(messages: readonly ChatMessage[]): Promise<Prompt>;
  close(): void;
}

/** Opens the tokenizer of a folder as `openTokenizer` does, in a process of its own; `close` when done. */
export async function openSandboxedTokenizer(
  folder: string,
  limits: Partial<SandboxLimits> = {},
  own = folder,
): Promise<SandboxedTokenizer> {
  const child = new Child(folder, { ...LIMITS, ...limits });
  try {
    const described = (await child.ask({ op: 'open', folder, own })) as Described;
    return tokenizerOver(child, described);
  } catch (error) {
    child.close();
    throw error;
  }
}

function tokenizerOver(
  child: Child,
  { tokens, specialIds, addedIds, bosId, padId, eosId, ...rest }: Described,
): SandboxedTokenizer {
  const idByToken = new Map<string, number>();
  for (const [id, token] of tokens.entries()) if (token !== null) idByToken.set(token, id);
  const encodeBatch = async (texts: readonly string[], options?: EncodeOptions) =>
    texts.length === 0
      ? []
      : ((await child.ask({
          op: 'encode',
          texts,
          special: options?.addSpecialTokens ?? true,
          continued: options?.continued ?? false,
        })) as number[][]);
  const decodeBatch = async (ids: readonly (readonly number[])[], options?: DecodeOptions) =>
    ids.length === 0
      ? []
      : ((await child.ask({ op: 'decode', ids, skip: options?.skipSpecialTokens ?? true })) as string[]);
  return {
    ...rest,
    chatTemplate: rest.chatTemplate ?? undefined,
    vocab_size: tokens.length,
    specialIds: new Set(specialIds),
    addedIds: new Set(addedIds),
    bosId: bosId ?? undefined,
    padId: padId ?? undefined,
    eosId: eosId ?? undefined,
    idOf: (token) => idByToken.get(token),
    tokenOf: (id) => tokens[id] ?? undefined,
    encodeBatch,
    decodeBatch,
    encode: async (text, options) => (await encodeBatch([text], options))[0]!,
    decode: async (ids, options) => (await decodeBatch([ids], options))[0]!,
    wrapped: async (name, system) => (await child.ask({ op: 'wrap', name, system })) as Wrapped,
    turns: async (messages) => (await child.ask({ op: 'turns', messages })) as Prompt,
    close: () => child.close(),
  };
}

/** What a child may blame; anything else it says is its own failure. */
const CODES: ReadonlySet<string> = new Set<ErrorCode>([
  'usage',
  'missing-file',
  'bad-file',
  'unsupported',
  'no-access',
  'bad-path',
  'too-many-files',
  'disk-error',
]);

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: WhorlError) => void;
}

class Child {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #limits: SandboxLimits;
  readonly #watch: NodeJS.Timeout;
  readonly #waiting = new Map<number, Waiting>();
  #parts: Buffer[] = [];
  #length = 0;
  #next = 0;
  #dead: WhorlError | undefined;

  constructor(folder: string, limits: SandboxLimits) {
    this.#folder = folder;
    this.#limits = limits;
    const { command, before } = entry();
    // No environment: nothing of the user's (tokens, NODE_OPTIONS) goes in. Windows needs its SystemRoot.
    const env = process.env.SystemRoot === undefined ? {} : { SystemRoot: process.env.SystemRoot };
    this.#process = spawn(
      process.execPath,
      [`--max-old-space-size=${limits.heap_mb}`, ...before, command, String(limits.memory_mb)],
      { stdio: ['pipe', 'pipe', 'ignore'], env },
    );
    this.#process.stdout!.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#process.stdin!.on('error', () => undefined); // a child that died while written to: 'exit' tells
    this.#process.on('error', (cause) => this.#fail(`cannot be started (${cause.message})`));
    this.#process.on('exit', (code, signal) =>
      this.#fail(`ended its process (${signal ?? `exit code ${code}`}); it may use ${limits.memory_mb} MB`),
    );
    this.#watch = setInterval(() => this.#checkMemory(), WATCH_MS);
    this.#watch.unref();
  }

  ask(request: Request): Promise<unknown> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const id = this.#next++;
    const limit = request.op === 'open' ? this.#limits.open_ms : this.#limits.request_ms;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(`took more than ${limit / 1000} s (${request.op})`), limit);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          this.#waiting.delete(id);
          then(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#process.stdin!.write(`${JSON.stringify({ id, request })}\n`);
    });
  }

  close(): void {
    this.#end(new WhorlError('bad-file', `the tokenizer of ${this.#folder} was closed`));
  }

  #fail(what: string): void {
    this.#end(
      new WhorlError(
        'bad-file',
        `the tokenizer or chat template of ${this.#folder} ${what}`,
        'its files are damaged or made to do harm',
      ),
    );
  }

  #end(error: WhorlError): void {
    this.#dead ??= error;
    clearInterval(this.#watch);
    this.#process.kill('SIGKILL');
    this.#parts = [];
    for (const { reject } of [...this.#waiting.values()]) reject(this.#dead);
  }

  /** Native code may fill memory while the child's own watch cannot run; Linux shows it from outside. */
  #checkMemory(): void {
    try {
      const pages = Number(readFileSync(`/proc/${this.#process.pid}/statm`, 'utf8').split(' ')[1]);
      if (pages * 4096 > this.#limits.memory_mb * 2 ** 20)
        this.#fail(`took more than ${this.#limits.memory_mb} MB`);
    } catch {
      // no /proc, or the process has just ended
    }
  }

  #read(chunk: Buffer): void {
    if (this.#dead !== undefined) return;
    let rest = chunk;
    for (;;) {
      const end = rest.indexOf(10);
      this.#parts.push(end < 0 ? rest : rest.subarray(0, end));
      this.#length += end < 0 ? rest.length : end;
      if (this.#length > this.#limits.reply_bytes)
        this.#fail(`answered with more than ${this.#limits.reply_bytes} bytes`);
      if (end < 0 || this.#dead !== undefined) return;
      const line = Buffer.concat(this.#parts).toString('utf8');
      [this.#parts, this.#length] = [[], 0];
      this.#answer(line);
      rest = rest.subarray(end + 1);
    }
  }

  #answer(line: string): void {
    let reply: Reply;
    try {
      reply = JSON.parse(line) as Reply;
    } catch {
      this.#fail('answered with something that is not JSON'); // a native library that prints
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    if (reply.error === undefined) waiting.resolve(reply.value);
    else if (CODES.has(reply.error.code))
      waiting.reject(new WhorlError(reply.error.code as ErrorCode, reply.error.message));
    else this.#fail(`failed (${reply.error.message})`);
  }
}

/** The child's program: a file of the bundle, or its source by way of tsx. */
function entry(): { command: string; before: string[] } {
  if (!import.meta.url.endsWith('.ts'))
    return { command: join(packageRoot(), 'dist', 'sandbox-child.js'), before: [] };
  const tsx = createRequire(import.meta.url).resolve('tsx/esm');
  return {
    command: fileURLToPath(new URL('./sandbox-child.ts', import.meta.url)),
    before: ['--import', pathToFileURL(tsx).href],
  };
}
