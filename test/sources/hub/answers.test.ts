// What the hub may answer instead of a model: refusals, errors, pages, silence, redirects that lead elsewhere.

import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WhorlError } from '../../../src/base/error.ts';
import type { ProgressEvent } from '../../../src/base/events.ts';
import { parseHubId } from '../../../src/sources/hub/hub-id.ts';
import { fetchModel } from '../../../src/sources/hub/model-files.ts';
import { type HubSettings, hubSettings } from '../../../src/sources/hub/settings.ts';
import { FakeHub, json, type Mischief, sha256, TOKEN } from './server.ts';
import { scratch, settingsFor } from './settings.ts';

const WEIGHTS = Buffer.alloc(5_000, 3);

let hub: FakeHub;
let settings: HubSettings;
beforeEach(async () => {
  hub = await FakeHub.start({ 'config.json': Buffer.from('{}'), 'model.safetensors': WEIGHTS });
  settings = settingsFor(hub);
});
afterEach(() => hub.stop());

const fetchIt = (
  change: Partial<HubSettings> = {},
  name = 'org/tiny',
  onEvent?: (event: ProgressEvent) => void,
) => fetchModel(parseHubId(name)!, { settings: { ...settings, ...change }, ...(onEvent && { onEvent }) });

async function failure(change: Partial<HubSettings> = {}): Promise<WhorlError> {
  const error: unknown = await fetchIt(change).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(WhorlError);
  // Not in the line, and not in what WHORL_DEBUG=1 prints either.
  expect((error as WhorlError).message).not.toMatch(/s3cret|\n/);
  expect(inspect(error, { depth: 10 })).not.toContain(TOKEN);
  return error as WhorlError;
}

const always =
  (status: number, headers: Record<string, string> = {}, body = ''): Mischief =>
  (_, response) =>
    response.writeHead(status, headers).end(body) !== undefined;

const host = (): string => new URL(hub.endpoint).host;

describe('refusals and errors', () => {
  test.each([
    [401, {}, 'hub', 'org/tiny: HOST refuses the token: check HF_TOKEN and whether it may read this'],
    [
      403,
      { 'x-error-code': 'GatedRepo' },
      'hub',
      'org/tiny: HOST refuses the token: check HF_TOKEN and whether it may read this: ask for access on HOST',
    ],
    [
      404,
      {},
      'missing-file',
      'org/tiny is not on HOST (404): check the name, or give a file or folder that exists',
    ],
    [
      404,
      { 'x-error-code': 'RevisionNotFound' },
      'missing-file',
      'org/tiny: HOST has no such revision: check what stands after the @',
    ],
    [
      429,
      {},
      'unreachable',
      'org/tiny: HOST has had too many requests from here (429): wait some minutes and try again',
    ],
    [500, {}, 'unreachable', 'org/tiny: HOST fails (500): try again later'],
    [503, {}, 'unreachable', 'org/tiny: HOST fails (503): try again later'],
    [418, {}, 'hub', 'org/tiny: HOST answers with 418: check HF_ENDPOINT'],
  ])('%i %o', async (status, headers, code, message) => {
    hub.mischief = always(status, headers as Record<string, string>, `<p>${TOKEN}</p>`);
    expect(await failure()).toMatchObject({ code, message: message.replaceAll('HOST', host()) });
    expect(hub.asked).toHaveLength(code === 'unreachable' ? 4 : 1);
  });

  test('401 without a token says that one may be needed', async () => {
    hub.mischief = always(401);
    const change = { token: undefined };
    expect((await failure(change)).message).toContain('set HF_TOKEN if it is yours to read');
    hub.mischief = always(401, { 'x-error-code': 'GatedRepo' });
    expect((await failure(change)).message).toContain('it is gated: ask for access');
    expect(hub.asked.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
  });

  test('an error that passes is no error; Retry-After is waited for, within bounds', async () => {
    const waits: number[] = [];
    const sleep = async (ms: number) => void waits.push(ms);
    let n = 0;
    hub.mischief = (_, response) => {
      n++;
      if (n > 2) return false;
      return (
        response.writeHead(n === 1 ? 503 : 429, n === 1 ? {} : { 'retry-after': '7' }).end() !== undefined
      );
    };
    await fetchIt({ sleep });
    expect(waits).toEqual([300, 7000]);
    hub.mischief = always(429, { 'retry-after': '86400' });
    expect((await failure({ sleep, cache: scratch() })).code).toBe('unreachable');
    expect(waits).toHaveLength(2);
  });

  test('a page instead of JSON, JSON of another shape, JSON without end, a compressed answer', async () => {
    hub.mischief = always(200, { 'content-type': 'text/html' }, '<!doctype html><title>Log in</title>');
    expect(await failure()).toMatchObject({
      code: 'hub',
      message: `org/tiny: ${host()} answers with a web page where JSON belongs: check HF_ENDPOINT, and whether a proxy or a login page stands in between`,
    });
    hub.mischief = always(200, {}, '[]');
    expect((await failure()).message).toContain('org/tiny is not a JSON object');
    hub.mischief = always(200, {}, '{"sha":"main"}');
    expect((await failure()).message).toContain('org/tiny names no commit');
    hub.mischief = always(200, { 'content-encoding': 'gzip' }, 'x');
    expect((await failure()).message).toContain('comes compressed (gzip)');
    hub.mischief = (_, response) => {
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(1 << 20, 32), more));
      more();
      return true;
    };
    expect((await failure()).message).toContain('the answer has more than 33554432 bytes');
  });

  test('a commit that is not the one asked for', async () => {
    const name = `org/tiny@${'a'.repeat(40)}`;
    await expect(fetchIt({}, name)).rejects.toThrow(/another commit than the one asked for/);
  });

  test('a hub that holds no model, or pickles only', async () => {
    hub.files.delete('model.safetensors');
    expect((await failure()).message).toContain('holds no model: no config.json with model.safetensors');
    hub.put('pytorch_model.bin', WEIGHTS);
    expect(await failure()).toMatchObject({ code: 'unsupported' });
    expect(hub.fetched).toEqual([]);
  });
});

describe('silence', () => {
  test('nobody listens', async () => {
    const { endpoint } = hub;
    await hub.stop();
    const error = await failure();
    expect(error.message).toBe(
      `org/tiny: ${new URL(endpoint).host} refuses the connection: check the network; what is in the cache already opens with HF_HUB_OFFLINE=1`,
    );
    hub = await FakeHub.start({});
  });

  test('the connection is closed at once; nothing comes at all', async () => {
    const sockets = new Set<import('node:net').Socket>();
    for (const [behave, words] of [
      [(socket: import('node:net').Socket) => void socket.destroy(), 'closes the connection'],
      [(socket: import('node:net').Socket) => void sockets.add(socket), 'does not answer'],
    ] as const) {
      const server = createServer(behave);
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      const endpoint = new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
      const timeouts = { ...settings.timeouts, headers: 200 };
      expect((await failure({ endpoint, timeouts, attempts: 2 })).message).toContain(words);
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    }
  });

  test('what the cache holds whole is used instead, and said', async () => {
    const { path } = await fetchIt();
    hub.mischief = always(500);
    const notes: string[] = [];
    const again = await fetchIt({}, 'org/tiny', (event) => event.kind === 'note' && notes.push(event.text));
    expect(again.path).toBe(path);
    expect(notes).toEqual([`org/tiny: ${host()} fails (500); using commit ${hub.commit} of the cache`]);
    hub.mischief = always(404);
    expect((await failure()).code).toBe('missing-file');
  });
});

describe('offline', () => {
  test('opens what is whole, asks nothing', async () => {
    const { path } = await fetchIt();
    hub.asked.length = 0;
    expect((await fetchIt({ offline: true })).path).toBe(path);
    expect((await fetchIt({ offline: true }, `org/tiny@${hub.commit}`)).path).toBe(path);
    expect(hub.asked).toEqual([]);
  });

  test('says what is not there, or not whole', async () => {
    expect((await failure({ offline: true })).message).toBe(
      'org/tiny is not in the hub cache, whole: unset HF_HUB_OFFLINE to fetch it',
    );
    hub.mischief = (request, response) =>
      request.url!.startsWith('/cdn/') && response.writeHead(500).end() !== undefined;
    await failure();
    expect((await failure({ offline: true })).message).toContain('not in the hub cache, whole');
    hub.mischief = () => false;
    await fetchIt();
    await fetchIt({ offline: true });
  });
});

describe('redirects', () => {
  const to =
    (location: string, status = 302): Mischief =>
    (request, response) =>
      request.url!.includes('/resolve/') && request.url!.endsWith('model.safetensors')
        ? response.writeHead(status, { location }).end() !== undefined
        : false;

  test('to a CDN of another origin goes without the token', async () => {
    await fetchIt();
    const [own, foreign] = [hub.endpoint, hub.cdnOrigin].map((origin) =>
      hub.asked.filter((asked) => asked.origin === origin),
    );
    expect(foreign).toHaveLength(1);
    expect(foreign![0]!.authorization).toBeUndefined();
    expect(own!.length).toBeGreaterThan(2);
    for (const { authorization } of own!) expect(authorization).toBe(`Bearer ${TOKEN}`);
  });

  test('there and back again: the token goes to the hub alone', async () => {
    const path = `/cdn/${sha256(WEIGHTS)}`;
    hub.mischief = (request, response) => {
      if (request.url!.endsWith(`/resolve/${hub.commit}/model.safetensors`))
        return response.writeHead(307, { location: `${hub.cdnOrigin}/bounce` }).end() !== undefined;
      if (request.url === '/bounce')
        return response.writeHead(308, { location: hub.endpoint + path }).end() !== undefined;
      return false;
    };
    await fetchIt();
    const bounce = hub.asked.find(({ url }) => url === '/bounce')!;
    expect(bounce.authorization).toBeUndefined();
    expect(hub.asked.at(-1)).toMatchObject({ origin: hub.endpoint, authorization: `Bearer ${TOKEN}` });
  });

  test('within the hub, as for a repository that was renamed', async () => {
    hub.mischief = (request, response) =>
      request.url!.includes('/old/')
        ? response.writeHead(307, { location: request.url!.replace('/old/', '/org/') }).end() !== undefined
        : false;
    expect((await fetchIt({}, 'old/tiny')).path).toContain('models--old--tiny');
  });

  test.each([
    ['in a circle', () => `${hub.endpoint}/org/tiny/resolve/${hub.commit}/model.safetensors`, 'in a circle'],
    ['to a file', () => 'file:///etc/passwd', 'to file:'],
    ['to nonsense', () => 'http://', 'to something that is no address'],
    ['to a name with a password', () => `http://me:s3cret@127.0.0.1:1/`, 'with a user name in it'],
  ])('%s is refused', async (_, location, words) => {
    hub.mischief = to(location());
    const error = await failure();
    expect(error.code).toBe('hub');
    expect(error.message).toContain('org/tiny/model.safetensors: the hub redirects');
    expect(error.message).toContain(words);
  });

  test('without end is refused', async () => {
    hub.mischief = (request, response) =>
      /model\.safetensors|hop/.test(request.url!) && request.url!.includes('tree') === false
        ? response.writeHead(302, { location: `/hop/${hub.asked.length}` }).end() !== undefined
        : false;
    expect((await failure()).message).toContain('redirects more than 5 times');
  });

  test('a listing whose next page is elsewhere is not followed there with the token', async () => {
    hub.mischief = (request, response) => {
      if (!request.url!.includes('/tree/')) return false;
      json(response, [], { link: `<${hub.cdnOrigin}/evil>; rel="next"` });
      return true;
    };
    await failure();
    expect(hub.asked.filter(({ origin }) => origin === hub.cdnOrigin)).toEqual([]);
  });
});

describe('from a public hub', () => {
  // The hub is public by its name only: the first connection is made to loopback, by a proxy that stands in for the network.
  const publicHub = (): Partial<HubSettings> => ({
    endpoint: new URL('http://hub.example'),
    env: { HTTP_PROXY: proxy.endpoint },
  });
  let proxy: { endpoint: string; stop: () => Promise<void>; targets: string[] };
  beforeEach(async () => {
    const { startProxy } = await import('./proxy.ts');
    proxy = await startProxy(new URL(hub.endpoint).port);
  });
  afterEach(() => proxy.stop());

  test('a proxy of the environment is used', async () => {
    hub.files.set('model.safetensors', { bytes: WEIGHTS, lfs: false });
    await fetchIt(publicHub());
    expect(new Set(proxy.targets)).toEqual(new Set(['hub.example:80']));
  });

  test.each([
    'http://127.0.0.1:9/x',
    'http://10.0.0.7/x',
    'http://[::1]/x',
    'http://169.254.169.254/latest',
    'http://0x7f.1/',
    'http://[::ffff:192.168.0.1]/',
  ])('a redirect to %s is refused', async (location) => {
    hub.mischief = (request, response) =>
      request.url!.includes('/resolve/') ? response.writeHead(302, { location }).end() !== undefined : false;
    expect((await failure(publicHub())).message).toContain('which is a private address');
  });
});

test('a name that leads to a private address is refused when it is connected to', async () => {
  const { publicLookup, PRIVATE_ADDRESS } = await import('../../../src/sources/hub/addresses.ts');
  for (const all of [true, false]) {
    const error = await new Promise<NodeJS.ErrnoException | null>((done) =>
      publicLookup('localhost', { all }, done),
    );
    expect(error?.code).toBe(PRIVATE_ADDRESS);
  }
});

test('https may not lead down to http', async () => {
  const { HubHttp } = await import('../../../src/sources/hub/http.ts');
  const http = new HubHttp({ ...hubSettings({ HF_ENDPOINT: 'https://hub.example' }) });
  expect(() => http.redirected(new URL('https://hub.example/a'), 'http://hub.example/b', 'org/tiny')).toThrow(
    /org\/tiny: the hub redirects from https down to http/,
  );
  await http.close();
});
