// kill -9 in a download, and several processes that want the same file. bench/kill-download.ts kills more often.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { killDownloads } from './killing.ts';
import { FakeHub, sha256 } from './server.ts';
import { settingsFor } from './settings.ts';

test('a killed download leaves the old model or the new one, whole, and is gone on with', {
  timeout: 240_000,
}, async () => {
  const { kills, faults, found } = await killDownloads({ kills: 3, seed: 'test', bytes: 1_000_000 });
  expect(faults).toEqual([]);
  expect(kills).toBe(3);
  expect(found.none).toBe(0);
});

test('of three processes one fetches, the others wait for it', { timeout: 240_000 }, async () => {
  const weights = Buffer.alloc(600_000, 5);
  const hub = await FakeHub.start({ 'config.json': Buffer.from('{}'), 'model.safetensors': weights });
  const { cache } = settingsFor(hub);
  const child = new URL('fetch-child.ts', import.meta.url).pathname;
  const env = { ...process.env, HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_TOKEN: '', NO_PROXY: '*' };
  let [waiting, release] = [0, () => {}];
  const twoWait = new Promise<void>((done) => (release = done));
  hub.mischief = (request, response) => {
    if (!request.url!.startsWith('/cdn/')) return false;
    response.writeHead(200, { 'content-length': String(weights.length) });
    response.write(weights.subarray(0, 300_000));
    void twoWait.then(() => response.end(weights.subarray(300_000)));
    return true;
  };
  const run = (): Promise<number | null> =>
    new Promise((resolve) => {
      const started = spawn(process.execPath, ['--import', 'tsx', child, 'org/tiny'], { env });
      started.stderr.on('data', (text: Buffer) => {
        if (
          /model\.safetensors is being fetched by process \d+; waiting/.test(text.toString()) &&
          ++waiting === 2
        )
          release();
      });
      started.on('close', resolve);
    });
  expect(await Promise.all([run(), run(), run()])).toEqual([0, 0, 0]);
  const blobs = join(cache, 'models--org--tiny/blobs');
  expect(readdirSync(blobs)).toHaveLength(2); // nothing unfinished is left
  expect(readFileSync(join(blobs, sha256(weights)))).toEqual(weights);
  expect(hub.fetched.filter((name) => name === 'model.safetensors')).toHaveLength(1);
  await hub.stop();
});
