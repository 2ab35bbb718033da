// The download itself: what is fetched, what is refused before or after a byte is written, how a cut one goes on.

import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WhorlError } from '../../../src/base/error.ts';
import type { ProgressEvent } from '../../../src/base/events.ts';
import { DATASET, parseHubId } from '../../../src/sources/hub/hub-id.ts';
import { fetchModel } from '../../../src/sources/hub/model-files.ts';
import type { HubSettings } from '../../../src/sources/hub/settings.ts';
import { fetchSnapshot } from '../../../src/sources/hub/snapshot.ts';
import { COMMIT, FakeHub, filesOf, gitHash, json, send, sha256, TOKEN } from './server.ts';
import { settingsFor } from './settings.ts';

const MODEL = new URL('../../../goldens/models/llama-tied/', import.meta.url).pathname;
const { 'config.json': config, 'model.safetensors': weights } = filesOf(MODEL) as Record<string, Buffer>;
const NAME = 'org/tiny';

let hub: FakeHub;
let settings: HubSettings;
beforeEach(async () => {
  hub = await FakeHub.start({
    '.gitattributes': Buffer.from('x'),
    'README.md': Buffer.from('# tiny'),
    'config.json': config!,
    'tokenizer.json': Buffer.from('{"version":"1.0"}'),
    'pytorch_model.bin': Buffer.from('pickle'),
    'model.safetensors': weights!,
  });
  settings = settingsFor(hub);
});
afterEach(() => hub.stop());

const fetchIt = (name = NAME, change: Partial<HubSettings> = {}) =>
  fetchModel(parseHubId(name)!, { settings: { ...settings, ...change } });

const repoFolder = (): string => join(settings.cache, 'models--org--tiny');
const blobs = (): string[] =>
  existsSync(join(repoFolder(), 'blobs')) ? readdirSync(join(repoFolder(), 'blobs')).sort() : [];

async function failure(name = NAME, change: Partial<HubSettings> = {}): Promise<WhorlError> {
  const error: unknown = await fetchIt(name, change).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(WhorlError);
  const { message } = error as WhorlError;
  expect(message).not.toContain(TOKEN);
  expect(message).not.toContain('s3cret');
  expect(message).not.toContain('\n');
  expect(message).toContain(NAME);
  return error as WhorlError;
}

/** Answers requests for the weights' bytes on the CDN. */
const onCdn = (answer: (n: number, ...rest: Parameters<FakeHub['mischief']>) => boolean): void => {
  let n = 0;
  hub.mischief = (request, ...rest) => request.url!.startsWith('/cdn/') && answer(++n, request, ...rest);
};

describe('what is fetched', () => {
  test('config, tokenizer, card and safetensors; no pickle; laid out as Python lays it out', async () => {
    const { path, commit, pinned } = await fetchIt();
    expect(commit).toBe(COMMIT);
    expect(pinned).toBe(`org/tiny@${COMMIT}`);
    expect(path).toBe(join(repoFolder(), 'snapshots', COMMIT));
    expect(readdirSync(path).sort()).toEqual([
      'README.md',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
    ]);
    expect(readlinkSync(join(path, 'model.safetensors'))).toBe(`../../blobs/${sha256(weights!)}`);
    expect(readlinkSync(join(path, 'config.json'))).toBe(`../../blobs/${gitHash(config!)}`);
    expect(readFileSync(join(path, 'model.safetensors'))).toEqual(weights);
    expect(readFileSync(join(repoFolder(), 'refs/main'), 'utf8')).toBe(COMMIT);
    expect(blobs()).toEqual(
      [
        gitHash(config!),
        ...['tokenizer.json', 'README.md'].map((name) => gitHash(hub.files.get(name)!.bytes)),
        sha256(weights!),
      ].sort(),
    );
    expect(hub.fetched).toEqual(['config.json', 'tokenizer.json', 'README.md', 'model.safetensors']);
  });

  test('chat templates in files of their own, and no other file of a folder', async () => {
    const further = 'additional_chat_templates/tool_use.jinja';
    hub.put(further, Buffer.from('{{ tools }}'));
    for (const name of [
      'additional_chat_templates/notes.md',
      'a/additional_chat_templates/x.jinja',
      'a/x.jinja',
    ])
      hub.put(name, Buffer.from('x'));
    const { path } = await fetchIt();
    expect(readFileSync(join(path, further), 'utf8')).toBe('{{ tools }}');
    expect(hub.fetched.filter((name) => name.includes('/'))).toEqual([further]);
    // As any file that makes the model run: a cache without it is not whole.
    rmSync(join(path, further));
    await fetchIt();
    expect(readFileSync(join(path, further), 'utf8')).toBe('{{ tools }}');
  });

  test('again: two questions, no file; a whole commit: no question at all', async () => {
    await fetchIt();
    hub.asked.length = 0;
    await fetchIt();
    expect(hub.asked.map(({ url }) => url.split('?')[0])).toEqual([
      '/api/models/org/tiny/revision/main',
      `/api/models/org/tiny/tree/${COMMIT}`,
    ]);
    hub.asked.length = 0;
    expect((await fetchIt(`${NAME}@${COMMIT}`)).commit).toBe(COMMIT);
    expect(hub.asked).toEqual([]);
  });

  test('a new commit fetches what changed only, and the old snapshot stays', async () => {
    await fetchIt();
    hub.commit = 'f'.repeat(40);
    hub.put('config.json', Buffer.from(`${config!.toString()} `));
    hub.asked.length = 0;
    const { path } = await fetchIt();
    expect(hub.fetched).toEqual(['config.json']);
    expect(readFileSync(join(path, 'model.safetensors'))).toEqual(weights);
    expect(readFileSync(join(repoFolder(), 'snapshots', COMMIT, 'config.json'))).toEqual(config);
    expect(readFileSync(join(repoFolder(), 'refs/main'), 'utf8')).toBe('f'.repeat(40));
  });

  test('shards are those that the index names', async () => {
    hub.files.delete('model.safetensors');
    hub.put(
      'model.safetensors.index.json',
      Buffer.from('{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}'),
    );
    for (const n of [1, 2, 3]) hub.put(`model-${n}.safetensors`, Buffer.from(`shard ${n}`));
    const { path } = await fetchIt();
    expect(readdirSync(path).filter((name) => name.startsWith('model'))).toEqual([
      'model-1.safetensors',
      'model-2.safetensors',
      'model.safetensors.index.json',
    ]);
    expect(hub.fetched.slice(-2)).toEqual(['model-1.safetensors', 'model-2.safetensors']);
  });

  test('a listing in pages; a revision that is a path', async () => {
    hub.pageSize = 2;
    await fetchIt(`${NAME}@refs/pr/1`);
    expect(hub.asked[0]!.url).toBe('/api/models/org/tiny/revision/refs%2Fpr%2F1');
    expect(hub.asked.filter(({ url }) => url.includes('/tree/'))).toHaveLength(3);
    expect(readFileSync(join(repoFolder(), 'refs/refs/pr/1'), 'utf8')).toBe(COMMIT);
  });

  test('one GGUF by name, the only one without', async () => {
    hub.files.clear();
    hub.put('a.gguf', Buffer.from('GGUF a'));
    expect((await fetchIt()).path).toBe(join(repoFolder(), 'snapshots', COMMIT, 'a.gguf'));
    hub.put('q/b.gguf', Buffer.from('GGUF b'));
    const error = await failure();
    expect(error.message).toBe('org/tiny holds 2 GGUF files: a.gguf, q/b.gguf: name one: org/tiny:a.gguf');
    const { path, pinned } = await fetchIt(`${NAME}:q/b.gguf`);
    expect(readFileSync(path, 'utf8')).toBe('GGUF b');
    expect(readlinkSync(path)).toBe(`../../../blobs/${sha256(Buffer.from('GGUF b'))}`);
    expect(pinned).toBe(`org/tiny@${COMMIT}:q/b.gguf`);
    expect((await failure(`${NAME}:c.gguf`)).code).toBe('missing-file');
    expect((await failure(`${NAME}:a.bin`)).code).toBe('usage');
  });

  test('a data set, by the same client', async () => {
    hub.kind = 'datasets';
    hub.files.clear();
    hub.put('data/train-0.parquet', Buffer.from('PAR1'));
    const id = parseHubId(NAME, DATASET)!;
    const { folder } = await fetchSnapshot(
      id,
      { fetch: (snapshot) => snapshot.fetch([...snapshot.files.keys()]), missing: () => 'unknown' },
      settings,
    );
    expect(folder).toBe(join(settings.cache, 'datasets--org--tiny/snapshots', COMMIT));
    expect(readFileSync(join(folder, 'data/train-0.parquet'), 'utf8')).toBe('PAR1');
    expect(hub.asked.at(-1)!.url).toBe(`/datasets/org/tiny/resolve/${COMMIT}/data/train-0.parquet`);
  });

  test('progress counts the bytes of what is missing', async () => {
    const events: ProgressEvent[] = [];
    await fetchModel(parseHubId(NAME)!, { settings, onEvent: (event) => events.push(event) });
    const weightsEvents = events.filter(
      (event) => event.kind === 'progress' && event.note === 'model.safetensors',
    );
    expect(weightsEvents.at(-1)).toMatchObject({ done: weights!.length, total: weights!.length });
  });
});

describe('a cut download', () => {
  test('goes on with Range in the same run, and the bytes are the same', async () => {
    onCdn((n, request, response) => {
      if (n > 3) return false;
      const from = Number(/\d+/.exec(request.headers.range ?? '0')![0]);
      if (from > 0)
        response.setHeader('content-range', `bytes ${from}-${weights!.length - 1}/${weights!.length}`);
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': String(weights!.length - from) });
      response.write(weights!.subarray(from, from + 20_000), () => setTimeout(() => response.destroy(), 20));
      return true;
    });
    const { path } = await fetchIt();
    expect(readFileSync(join(path, 'model.safetensors'))).toEqual(weights);
    const ranges = hub.asked.filter(({ url }) => url.startsWith('/cdn/')).map(({ range }) => range);
    expect(ranges).toEqual([undefined, 'bytes=20000-', 'bytes=40000-', 'bytes=60000-']);
    expect(blobs().filter((name) => name.endsWith('.incomplete'))).toEqual([]);
  });

  test('goes on in the next run where the first gave up', async () => {
    onCdn((_, request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '0')![0]);
      if (from > 0) return response.writeHead(503).end() !== undefined;
      response.writeHead(200, { 'content-length': String(weights!.length) });
      response.write(weights!.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 20));
      return true;
    });
    const error = await failure();
    expect(error.code).toBe('unreachable');
    expect(blobs().filter((name) => name.endsWith('.incomplete'))).toHaveLength(1);
    expect(existsSync(join(repoFolder(), 'refs/main'))).toBe(false);
    hub.mischief = () => false;
    hub.asked.length = 0;
    const { path } = await fetchIt();
    expect(hub.fetched).toEqual(['model.safetensors']);
    expect(hub.asked.at(-1)!.range).toBe('bytes=50000-');
    expect(readFileSync(join(path, 'model.safetensors'))).toEqual(weights);
    expect(blobs().filter((name) => name.endsWith('.incomplete'))).toEqual([]);
  });

  test('starts again where the server ignores the range', async () => {
    onCdn((n, _, response) => {
      response.writeHead(200, { 'content-length': String(weights!.length) });
      if (n > 1) return response.end(weights) !== undefined;
      response.write(weights!.subarray(0, 9_000), () => setTimeout(() => response.destroy(), 20));
      return true;
    });
    expect(readFileSync(join((await fetchIt()).path, 'model.safetensors'))).toEqual(weights);
  });

  test('a part left behind by a dead process that is damaged is fetched anew', async () => {
    mkdirSync(join(repoFolder(), 'blobs'), { recursive: true });
    await import('../../../src/sources/hub/partial.ts').then(({ claimPartial }) => {
      const partial = claimPartial(join(repoFolder(), 'blobs', sha256(weights!)));
      partial.append(Buffer.alloc(30_000, 7));
      partial.close();
    });
    const { path } = await fetchIt();
    expect(readFileSync(join(path, 'model.safetensors'))).toEqual(weights);
    expect(hub.asked.filter(({ url }) => url.startsWith('/cdn/')).map(({ range }) => range)).toEqual([
      'bytes=30000-',
      undefined,
    ]);
  });

  test('a server that stops in the middle is not waited for for ever', async () => {
    onCdn((_, request, response) => {
      if (request.headers.range) return response.writeHead(500).end() !== undefined;
      response.writeHead(200, { 'content-length': String(weights!.length) }).write(weights!.subarray(0, 10));
      return true;
    });
    expect((await failure()).message).toMatch(/fails \(500\)|stops in the middle/);
  });
});

describe('lies', () => {
  const nothingOf = (hash: string): void =>
    expect(blobs().filter((name) => name.startsWith(hash))).toEqual([]);

  test.each([
    ['larger', 1],
    ['smaller', -1],
  ])('a size declared %s than what comes is refused before a byte is written', async (_, by) => {
    hub.put('model.safetensors', weights!, { size: weights!.length + by });
    const error = await failure();
    expect(error).toMatchObject({ code: 'bad-file' });
    expect(error.message).toContain(
      `org/tiny/model.safetensors: ${weights!.length} bytes come where ${weights!.length + by} are declared`,
    );
    nothingOf(sha256(weights!));
  });

  test('more bytes than declared, in pieces without a length', async () => {
    onCdn((_, _request, response) => {
      response.writeHead(200).write(weights);
      return response.end(Buffer.alloc(1000)) !== undefined;
    });
    expect((await failure()).message).toContain(`more than the ${weights!.length} bytes declared come`);
    nothingOf(sha256(weights!));
  });

  test('other bytes under the declared sha256', async () => {
    const forged = Buffer.from(weights!);
    forged[5000]! ^= 1;
    onCdn((_, request, response) => {
      send(forged, request, response);
      return true;
    });
    const error = await failure();
    expect(error).toMatchObject({ code: 'bad-file' });
    expect(error.message).toContain(
      'org/tiny/model.safetensors: what comes does not have the sha256 that the hub declares',
    );
    nothingOf(sha256(weights!));
    expect(existsSync(join(repoFolder(), 'refs/main'))).toBe(false);
  });

  test('other bytes under the declared sha1 of git', async () => {
    hub.put('tokenizer.json', Buffer.from('{"a":1}'), { hash: gitHash(Buffer.from('{"a":2}')) });
    expect((await failure()).message).toContain(
      'org/tiny/tokenizer.json: what comes does not have the git-sha1',
    );
  });

  test('two hashes, two sizes or another commit for one file', async () => {
    for (const [header, value] of [
      ['x-linked-etag', `"${'0'.repeat(64)}"`],
      ['x-linked-size', '5'],
      ['x-repo-commit', 'e'.repeat(40)],
    ]) {
      hub.mischief = (request, response) => {
        if (!request.url!.endsWith('model.safetensors')) return false;
        const headers = {
          'x-repo-commit': COMMIT,
          'x-linked-size': String(weights!.length),
          [header!]: value!,
        };
        return (
          response
            .writeHead(302, { ...headers, location: `${hub.cdnOrigin}/cdn/${sha256(weights!)}` })
            .end() !== undefined
        );
      };
      expect(await failure()).toMatchObject({ code: 'bad-file' });
      nothingOf(sha256(weights!));
    }
  });

  test('a part that is not the one asked for', async () => {
    onCdn((n, _, response) => {
      if (n === 1) {
        response.writeHead(200, { 'content-length': String(weights!.length) });
        response.write(weights!.subarray(0, 9_000), () => setTimeout(() => response.destroy(), 20));
        return true;
      }
      response.writeHead(206, { 'content-range': `bytes 10-${weights!.length - 1}/${weights!.length}` });
      return response.end(weights!.subarray(10)) !== undefined;
    });
    expect((await failure()).message).toContain('not the part that was asked for');
  });

  test.each(['../up.json', '/etc/passwd', 'a\\b', 'c:x', 'nul', 'a/../../b', 'a\0b', '.hidden', 'x/', ''])(
    'a file named %j leads nowhere',
    async (path) => {
      hub.put(path, Buffer.from('evil'));
      const id = parseHubId(NAME)!;
      const all = {
        fetch: (snapshot: { fetch: (p: string[]) => Promise<void> }) => snapshot.fetch([path]),
        missing: () => '',
      };
      await expect(fetchSnapshot(id, all, settings)).rejects.toMatchObject({ code: 'bad-file' });
      expect(existsSync(settings.cache) ? readdirSync(settings.cache) : []).toEqual([]);
    },
  );

  test('an index that names a shard outside the folder', async () => {
    hub.files.delete('model.safetensors');
    hub.put('model.safetensors.index.json', Buffer.from('{"weight_map":{"a":"../../../x.safetensors"}}'));
    await expect(fetchIt()).rejects.toMatchObject({ code: 'bad-file' });
  });

  test.each([
    ['no size', { size: -1 }],
    ['no size', { size: 1e300 }],
    ['no hash', { hash: '../../../../tmp/x' }],
    ['no hash', { hash: 'A'.repeat(64) }],
  ])('a listing that gives %s', async (what, lie) => {
    hub.put('model.safetensors', weights!, lie);
    expect((await failure()).message).toContain(`gives "model.safetensors" ${what}`);
  });

  test('a listing that names a file twice, or is none', async () => {
    const entry = { type: 'file', path: 'a', oid: '0'.repeat(40), size: 1 };
    for (const [value, message] of [
      [[entry, entry], 'names "a" twice'],
      [{ a: 1 }, 'is no list'],
    ] as const) {
      hub.mischief = (request, response) => {
        if (!request.url!.includes('/tree/')) return false;
        json(response, value);
        return true;
      };
      expect((await failure()).message).toContain(message);
    }
  });

  test('a file larger than the disk is refused before anything comes', async () => {
    hub.put('model.safetensors', weights!, { size: 2 ** 52 });
    expect(await failure()).toMatchObject({ code: 'no-space' });
    expect(hub.fetched).not.toContain('model.safetensors');
  });
});
