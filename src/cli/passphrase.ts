// Where a passphrase or identity comes from: a file, the environment, or a person at a terminal who sees no echo.

import { readFileSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { WhorlError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';
import type { Lock, Unlock } from '../claim/secret-file.ts';
import { type Given, text, texts, toggle } from './options.ts';

/** What encrypts a secret that is made. */
export const LOCK = {
  passphrase: toggle('encrypt the secret; asked for, or from WHORL_PASSPHRASE'),
  passphraseFile: text('<file>', 'encrypt the secret with the passphrase in this file'),
  recipient: texts('<age1…>', 'encrypt the secret to an age recipient; may be repeated'),
};
export type LockFlags = Given<typeof LOCK>;

/** What opens a secret that is there. */
export const UNLOCK = {
  passphrase: toggle('ask for the passphrase of the secret, or take WHORL_PASSPHRASE'),
  passphraseFile: text('<file>', 'the passphrase of the secret'),
  identity: text('<file>', 'the age identity the secret was encrypted to'),
};
export type UnlockFlags = Given<typeof UNLOCK>;

const MAX_BYTES = 65_536;

/** How the secret is to be encrypted, or undefined for a plain file. */
export async function lockFrom(flags: LockFlags): Promise<Lock | undefined> {
  const ways = [flags.passphrase, flags.passphraseFile, flags.recipient].filter(
    (way) => way !== undefined && way !== false,
  );
  if (ways.length > 1)
    throw new WhorlError(
      'usage',
      'the secret has more than one lock',
      'give one of --passphrase, --passphrase-file, --recipient',
    );
  if (flags.recipient) return { recipients: flags.recipient };
  if (flags.passphraseFile !== undefined)
    return { passphrase: fromFile(flags.passphraseFile, '--passphrase-file') };
  return flags.passphrase ? { passphrase: await fromEnvironmentOrPerson(true) } : undefined;
}

/** What opens `secret`. A person is asked only where the file is locked and nothing was given. */
export async function unlockFor(secret: string, flags: UnlockFlags): Promise<Unlock | undefined> {
  if (flags.identity !== undefined) return identityFrom(flags.identity);
  if (flags.passphraseFile !== undefined)
    return { passphrase: fromFile(flags.passphraseFile, '--passphrase-file') };
  const { inspectSecret } = await import('../claim/secret-file.ts');
  const { encrypted } = await inspectSecret(secret);
  if (encrypted !== 'passphrase') return undefined;
  if (flags.passphrase || process.env.WHORL_PASSPHRASE !== undefined || process.stdin.isTTY)
    return { passphrase: await fromEnvironmentOrPerson(false) };
  return undefined; // the reader of secrets says what is missing
}

/** @throws WhorlError where the file is not there or holds no identity */
export const identityFrom = (file: string): Unlock => ({
  identity: new Secret(identityLine(fromFile(file, '--identity').reveal(), file)),
});

/** An age identity file has comments and one key a line. */
function identityLine(text: string, path: string): string {
  const line = text.split(/\r?\n/).find((candidate) => candidate.startsWith('AGE-SECRET-KEY-'));
  if (line === undefined)
    throw new WhorlError('usage', `${path} holds no age identity`, 'give the file that age-keygen wrote');
  return line.trim();
}

function fromFile(path: string, flag: string): Secret<string> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new WhorlError('missing-file', `${flag}: ${path} does not exist`, 'give a file that holds it');
  if (stats.isDirectory() || stats.size > MAX_BYTES)
    throw new WhorlError(
      'bad-file',
      `${flag}: ${path} is no small file`,
      'give a file that holds it and nothing else',
    );
  return notEmpty(readFileSync(path, 'utf8').replace(/\r?\n$/, ''), `${flag}: ${path}`);
}

function notEmpty(text: string, where: string): Secret<string> {
  if (text === '') throw new WhorlError('usage', `${where} is empty`, 'give a passphrase');
  return new Secret(text);
}

async function fromEnvironmentOrPerson(twice: boolean): Promise<Secret<string>> {
  const given = process.env.WHORL_PASSPHRASE;
  if (given !== undefined) return notEmpty(given, 'WHORL_PASSPHRASE');
  if (!process.stdin.isTTY)
    throw new WhorlError(
      'usage',
      'no terminal to ask for the passphrase',
      'set WHORL_PASSPHRASE or give --passphrase-file',
    );
  const first = await ask('Passphrase: ');
  if (twice && first !== (await ask('Again: ')))
    throw new WhorlError('usage', 'the two passphrases differ', 'type the same twice');
  return notEmpty(first, 'the passphrase');
}

/** Asks on stderr, so that stdout stays for results; nothing typed is shown. */
function ask(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    lines.once('line', (line) => {
      process.stderr.write('\n');
      resolve(line);
      lines.close();
    });
    lines.once('SIGINT', () => {
      lines.close();
      process.kill(process.pid, 'SIGINT');
    });
    lines.once('close', () =>
      reject(new WhorlError('usage', 'no passphrase was typed', 'type one and press Enter')),
    );
  });
}
