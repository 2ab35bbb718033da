// The one error users see: a code from a closed list, one line that names the file, field or flag, and the mend.

export type ErrorCode =
  | 'usage' // wrong flag, wrong value: exit code 2
  | 'missing-file' // a file or folder that is named is not there, or cannot be read
  | 'bad-file' // malformed, truncated or hostile
  | 'unsupported' // well-formed, but a dtype, architecture or config key we do not handle
  | 'too-few-rows' // not enough free embedding rows or tokens for the keys asked for
  | 'out-of-memory' // the machine has less memory than the work needs
  | 'bad-secret' // wrong version, wrong passphrase, not ours
  | 'mismatch' // two things that should belong together do not
  | 'exists' // the output is already there
  | 'not-reached' // a method ended without the cells it promised
  | 'too-harmful' // a fingerprint costs ordinary text more than --max-harm allows; nothing is published
  | 'job-failed' // work that was handed over (training to torchrun, a task of a fleet) ended before it was done
  | 'not-finite' // WHORL_CHECK found a value that is infinite or not a number
  | 'changed' // a file changed under us
  | 'hub' // the hub refuses, or what it answers cannot be used
  | 'unreachable' // the hub or another server does not answer, or only with errors, or asks to come back later
  | 'endpoint' // a server that is asked refuses, or what it answers cannot be used
  | 'over-budget' // the queries, tokens or money that were allowed are used up
  | 'no-space' // the disk, or the user's quota, has less room than the work needs
  | 'not-writable' // a place that cannot be written: permissions, a read-only or a pseudo file system (/proc)
  | 'no-access' // a file or folder that is there and may not be read
  | 'bad-path' // a path that cannot be: below a file, a folder in a file's place, links in a circle, too long
  | 'too-many-files' // the process or the machine may open no more files
  | 'disk-error' // the disk or the file system fails
  | 'aborted' // the caller's AbortSignal ended the call
  | 'lost-output'; // what was to be printed could not be delivered

/** One line for people, `message`: `what` is wrong and where, and `fix`, what to do about it. */
export class WhorlError extends Error {
  override readonly name = 'WhorlError';
  constructor(
    readonly code: ErrorCode,
    readonly what: string,
    readonly fix?: string,
    options?: { cause?: unknown },
  ) {
    super(fix === undefined ? what : `${what}: ${fix}`, options);
  }
}

/** Our own bug, never the user's: an invariant that does not hold. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`whorl: internal: ${message}`);
}
