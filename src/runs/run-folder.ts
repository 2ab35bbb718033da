// Names of every file in a private run folder (docs/method.md, section 4). Only `published/` is for upload.

import { chmodSync, existsSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { makeFolder, moveFolder, writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';

/** The paper's .jsonl files that one fingerprinting run writes. */
export type AnswerFile = 'vanilla' | 'publish' | 'publish_w_adapter';

export class RunFolder {
  readonly path: string;
  constructor(path: string) {
    this.path = resolve(path);
  }
  get claim(): string {
    return join(this.path, 'claim.json');
  }
  get secret(): string {
    return join(this.path, 'secret.whorl');
  }
  /** Public, like the claim: the round that it was drawn from, and time stamps of it. */
  get beacon(): string {
    return join(this.path, 'beacon.json');
  }
  get proofs(): string {
    return join(this.path, 'proofs');
  }
  get published(): string {
    return join(this.path, 'published');
  }
  /** Method `lora`: the trained maps alone, in PEFT's format. Private: they say which layers to undo. */
  get lora(): string {
    return join(this.path, 'lora');
  }
  get run(): string {
    return join(this.path, 'run.json');
  }
  /** What an interrupted run resumes from, under the secret's lock; gone when the run is done. */
  get start(): string {
    return join(this.path, 'work', 'start.json');
  }
  get checkpoint(): string {
    return join(this.path, 'work', 'checkpoint');
  }
  /** A trained checkpoint before it is published, and what its training says of itself. */
  get candidate(): string {
    return join(this.path, 'work', 'candidate');
  }
  get trained(): string {
    return join(this.path, 'work', 'trained.json');
  }
  /** The vanilla model with the stamp in it: the body that trained rows are published in. */
  get stamped(): string {
    return join(this.path, 'work', 'stamped');
  }
  /** Ordinary conversations with the vanilla model's own answers. */
  get conversations(): string {
    return join(this.path, 'work', 'conversations.json');
  }
  /** A job for another engine, and which one it must be; `job` alone is what is taken to another machine. */
  get job(): string {
    return join(this.path, 'work', 'job');
  }
  get ticket(): string {
    return join(this.path, 'work', 'job.json');
  }
  /** Where a job is kept that its owner wants to keep. */
  get keptJob(): string {
    return join(this.path, 'job');
  }
  answers(file: AnswerFile): string {
    return join(this.path, `${file}.jsonl`);
  }

  /** `new`, `interrupted` (to be resumed) or `done`. Throws `exists` for a folder that is no run's. */
  state(): 'new' | 'interrupted' | 'done' {
    if (!existsSync(this.path) || readdirSync(this.path).length === 0) return 'new';
    if (existsSync(this.run)) return 'done';
    if (existsSync(this.start)) return 'interrupted';
    const left = readdirSync(this.path).filter((name) => name !== 'work' && !name.startsWith('.'));
    if (left.length === 0) return 'new';
    throw new WhorlError(
      'exists',
      `${this.path} holds other files (${left[0]})`,
      'name a new folder with --out',
    );
  }

  /** Makes the folder, readable by its owner alone. */
  create(): void {
    makeFolder(join(this.path, 'work'), 0o700);
    chmodSync(this.path, 0o700);
  }

  /**
   * Where a new run would move what is there: a claim was written, which may have been shown. undefined: nothing was
   * committed, and is removed. Throws `exists` for a folder that is no run's.
   */
  aside(): string | undefined {
    if (this.state() === 'done' && !isOurs(this.run))
      throw new WhorlError('exists', `${this.run} is no run of Whorl's`, 'name a new folder with --out');
    if (![this.run, this.published, this.claim].some((path) => existsSync(path))) return undefined;
    let n = 1;
    while (existsSync(`${this.path}.old-${n}`)) n++;
    return `${this.path}.old-${n}`;
  }

  /** Makes room for a new run, as `aside` says. @returns where what was there lies now, if it does */
  clearAway(): string | undefined {
    const aside = this.aside();
    if (aside !== undefined) {
      moveFolder(this.path, aside);
      return aside;
    }
    for (const path of [this.secret, this.lora, join(this.path, 'work')])
      rmSync(path, { recursive: true, force: true });
    return undefined;
  }

  clean(): void {
    rmSync(join(this.path, 'work'), { recursive: true, force: true });
  }
}

/**
 * A run holds the secret: it may not lie in the folder of its model, which is what people upload.
 * @param model as it was given: a folder, or what is none
 * @throws WhorlError `bad-path`
 */
export function checkBesideModel(out: string, model: string): void {
  if (statSync(model, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  const within = relative(realpathSync(model), realPlace(out));
  if (within.split(sep)[0] === '..' || isAbsolute(within)) return;
  throw new WhorlError(
    'bad-path',
    `${resolve(out)} lies in the model's own folder, and would be uploaded with it, secret and all`,
    'name a folder outside with --out',
  );
}

/** Where a path leads, links followed as far as it is there. */
function realPlace(path: string): string {
  const whole = resolve(path);
  if (existsSync(whole)) return realpathSync(whole);
  const parent = dirname(whole);
  return parent === whole ? whole : join(realPlace(parent), basename(whole));
}

function isOurs(path: string): boolean {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { format?: unknown } | null)?.format === 'whorl-run';
  } catch {
    return false;
  }
}

/** Rows as JSON lines, private. */
export const writeJsonLines = (path: string, rows: readonly unknown[]): void =>
  writeFileAtomic(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''), 0o600);
