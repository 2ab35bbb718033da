// A hub on loopback: revisions, listings, files with or without a CDN, and whatever a test wants to go wrong.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export const COMMIT = '1234567890abcdef1234567890abcdef12345678';
export const TOKEN = 'hf_canaryCANARYcanary';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly origin: string;
}

/** Answers a request itself, or returns false to let the hub answer. */
export type Mischief = (request: IncomingMessage, response: ServerResponse, hub: FakeHub) => boolean;

export interface Hosted {
  readonly bytes: Buffer;
  readonly lfs: boolean;
  /** What the listing says, where a test wants it to lie. */
  size?: number;
  hash?: string;
}

const isLarge = (name: string): boolean => /\.(safetensors|gguf|bin)$/.test(name);

export function gitHash(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export class FakeHub {
  readonly asked: Asked[] = [];
  readonly files = new Map<string, Hosted>();
  commit = COMMIT;
  repo = 'org/tiny';
  kind = 'models';
  mischief: Mischief = () => false;
  /** Where large files are sent to, as the real hub does; by itself to a second server. */
  cdn: string | undefined;
  pageSize = 1000;
  readonly #servers: Server[] = [];
  endpoint = '';
  cdnOrigin = '';

  static async start(files: Readonly<Record<string, Buffer>>): Promise<FakeHub> {
    const hub = new FakeHub();
    for (const [name, bytes] of Object.entries(files)) hub.put(name, bytes);
    hub.endpoint = await hub.#listen();
    hub.cdnOrigin = await hub.#listen();
    return hub;
  }

  put(name: string, bytes: Buffer, lie: Pick<Hosted, 'size' | 'hash'> = {}): void {
    this.files.set(name, { bytes, lfs: isLarge(name), ...lie });
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }

  /** Paths of files that were asked for, in order. */
  get fetched(): string[] {
    return this.asked.flatMap(({ url }) => /\/resolve\/[^/]+\/(.+)$/.exec(url)?.[1] ?? []);
  }

  async #listen(): Promise<string> {
    let origin = '';
    const server = createServer((request, response) => {
      this.asked.push({
        method: request.method!,
        url: request.url!,
        range: request.headers.range,
        authorization: request.headers.authorization,
        origin,
      });
      if (!this.mischief(request, response, this)) this.#answer(request, response);
    });
    this.#servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return origin;
  }

  #answer(request: IncomingMessage, response: ServerResponse): unknown {
    const url = new URL(request.url!, 'http://hub');
    const api = `/api/${this.kind}/${this.repo}`;
    const prefix = this.kind === 'models' ? '' : `/${this.kind}`;
    const file = new RegExp(`^${prefix}/${this.repo}/resolve/${this.commit}/(.+)$`).exec(url.pathname)?.[1];
    if (url.pathname.startsWith(`${api}/revision/`))
      return json(response, { id: this.repo, sha: this.commit });
    if (url.pathname === `${api}/tree/${this.commit}`) return this.#tree(url, response);
    if (url.pathname.startsWith('/cdn/')) return this.#cdn(url.pathname.slice(5), request, response);
    if (file !== undefined && this.files.has(decodeURIComponent(file)))
      return this.#file(this.files.get(decodeURIComponent(file))!, request, response);
    return response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end('not here');
  }

  #tree(url: URL, response: ServerResponse): unknown {
    const start = Number(url.searchParams.get('cursor') ?? 0);
    const all = [...this.files].map(([path, file]) => this.#entry(path, file));
    const next = start + this.pageSize;
    url.searchParams.set('cursor', String(next));
    const link =
      next < all.length ? { link: `<${this.endpoint}${url.pathname}${url.search}>; rel="next"` } : {};
    return json(
      response,
      [{ type: 'directory', oid: '0'.repeat(40), size: 0, path: 'sub' }, ...all.slice(start, next)],
      link,
    );
  }

  #entry(path: string, { bytes, lfs, size, hash }: Hosted): unknown {
    const pointer = { type: 'file', path, oid: gitHash(bytes), size: size ?? bytes.length };
    if (!lfs) return { ...pointer, oid: hash ?? pointer.oid };
    return { ...pointer, lfs: { oid: hash ?? sha256(bytes), size: pointer.size, pointerSize: 134 } };
  }

  #file(file: Hosted, request: IncomingMessage, response: ServerResponse): unknown {
    const hash = file.hash ?? (file.lfs ? sha256(file.bytes) : gitHash(file.bytes));
    response.setHeader('x-repo-commit', this.commit);
    if (!file.lfs) {
      response.setHeader('etag', `"${hash}"`);
      return send(file.bytes, request, response);
    }
    response.setHeader('x-linked-etag', `"${hash}"`);
    response.setHeader('x-linked-size', String(file.size ?? file.bytes.length));
    return response
      .writeHead(302, { location: `${this.cdn ?? this.cdnOrigin}/cdn/${hash}?signature=s3cret` })
      .end();
  }

  #cdn(hash: string, request: IncomingMessage, response: ServerResponse): unknown {
    const file = [...this.files.values()].find(({ bytes, hash: lie }) => (lie ?? sha256(bytes)) === hash);
    if (file === undefined) return response.writeHead(404).end();
    response.setHeader('etag', '"cdn-made-this-up"');
    return send(file.bytes, request, response);
  }
}

export function json(
  response: ServerResponse,
  value: unknown,
  headers: Record<string, string> = {},
): unknown {
  return response
    .writeHead(200, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify(value));
}

/** Answers with the part a Range asks for. */
export function send(bytes: Buffer, request: IncomingMessage, response: ServerResponse): unknown {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? -1);
  const part = from < 0 ? bytes : bytes.subarray(from);
  if (from >= 0) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
  return response.writeHead(from < 0 ? 200 : 206, { 'content-length': String(part.length) }).end(part);
}

/** The files of a folder, as a repository would hold them. */
export function filesOf(folder: string): Record<string, Buffer> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}
