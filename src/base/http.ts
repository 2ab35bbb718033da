// What every client of a server nobody vouches for does in the same way: bodies bounded while they come, waits read, silences
// put into words. Where requests go, and what is tried again, is each client's own.

import type { Dispatcher } from 'undici';

type Body = Dispatcher.ResponseData['body'];

/** By the code or the name of what a connection throws; goes on "HOST …". */
export const CONNECTION_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection',
  ENOTFOUND: 'is not known to the name server',
  EAI_AGAIN: 'is not known to the name server',
  UND_ERR_CONNECT_TIMEOUT: 'does not answer',
  UND_ERR_SOCKET: 'closes the connection',
  ECONNRESET: 'closes the connection',
  EPIPE: 'closes the connection',
};

/** Reads no more of an answer. Its stream then reports an error that nobody else would hear. */
export function drop(body: Body): void {
  body.on('error', () => {});
  body.destroy();
}

/** What comes, up to the piece that makes it more than `most` bytes; the rest is left. */
export async function collect(body: Body, most: number): Promise<{ bytes: Buffer; isWhole: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    parts.push(part);
    if ((size += part.length) > most) break;
  }
  const isWhole = size <= most;
  if (!isWhole) drop(body);
  return { bytes: Buffer.concat(parts), isWhole };
}

/** A Retry-After header, seconds or a date, as milliseconds. */
export function retryAfter(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
