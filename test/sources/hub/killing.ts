// Kills downloads with SIGKILL at random moments and looks at what the cache then holds: the old model or the new one,
// whole. Used by kill.run.test.ts with few kills and by bench/kill-download.ts with many.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../../src/base/random-source.ts';
import { parseHubId } from '../../../src/sources/hub/hub-id.ts';
import { fetchModel } from '../../../src/sources/hub/model-files.ts';
import { FakeHub, gitHash, type Mischief, sha256 } from './server.ts';
import { settingsFor } from './settings.ts';

const CHILD = new URL('fetch-child.ts', import.meta.url).pathname;
const NAME = 'org/tiny';

export interface Killing {
  kills: number;
  /** Versions of the model that were brought to their end. */
  finished: number;
  /** Requests that went on in the middle of a file. */
  resumed: number;
  /** Kills after which the cache held no version yet, the old one, the new one. */
  found: { none: number; old: number; new: number };
  /** What was wrong; empty when all is well. */
  faults: string[];
}

type Files = Record<string, Buffer>;

/** The model's version `n`: three files of which each differs from the last version's. */
function version(n: number, bytes: number): Files {
  const weights = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 32) createHash('sha256').update(`${n}/${at}`).digest().copy(weights, at);
  return {
    'config.json': Buffer.from(JSON.stringify({ version: n })),
    'tokenizer.json': Buffer.from(JSON.stringify({ version: n, of: 'tokenizer' })),
    'model.safetensors': weights,
  };
}

/** Sends large files in small pieces with pauses, so that a kill can fall between any two. */
const slowly: Mischief = (request, response, hub) => {
  const hash = /^\/cdn\/(\w+)/.exec(request.url!)?.[1];
  const file = [...hub.files.values()].find(({ bytes }) => sha256(bytes) === hash);
  if (file === undefined) return false;
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const { length } = file.bytes;
  const range = { 'content-range': `bytes ${from}-${length - 1}/${length}` };
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': String(length - from),
    ...(from > 0 && range),
  });
  let at = from;
  const next = (): void => {
    if (response.destroyed) return;
    if (at >= length) {
      response.end();
      return;
    }
    response.write(file.bytes.subarray(at, (at += 32_768)), () => setTimeout(next, 4));
  };
  next();
  return true;
};

export async function killDownloads(options: {
  kills: number;
  seed: string;
  bytes?: number;
  onKill?: (line: string) => void;
}): Promise<Killing> {
  const random = seededRandom(options.seed);
  const bytes = options.bytes ?? 4_000_000;
  const hub = await FakeHub.start({});
  hub.mischief = slowly;
  const settings = settingsFor(hub);
  const env = {
    ...process.env,
    HF_ENDPOINT: hub.endpoint,
    HF_HUB_CACHE: settings.cache,
    HF_TOKEN: '',
    NO_PROXY: '*',
  };
  const result: Killing = {
    kills: 0,
    finished: 0,
    resumed: 0,
    found: { none: 0, old: 0, new: 0 },
    faults: [],
  };
  const commitOf = (n: number): string => String(n).padStart(40, '0');
  const publish = (n: number): void => {
    hub.commit = commitOf(n);
    hub.files.clear();
    for (const [name, content] of Object.entries(version(n, bytes))) hub.put(name, content);
  };

  /** Runs a child to its end, or kills it `after` ms from its beginning. */
  const child = (after: number): Promise<{ killed: boolean; ms: number; error: string }> =>
    new Promise((resolve) => {
      const process_: ChildProcess = spawn(process.execPath, ['--import', 'tsx', CHILD, NAME], { env });
      let [started, error] = [0, ''];
      process_.stderr!.on('data', (text: Buffer) => (error += text.toString()));
      process_.stdout!.once('data', () => {
        started = performance.now();
        if (Number.isFinite(after)) setTimeout(() => process_.kill('SIGKILL'), after);
      });
      process_.on('close', (code, signal) =>
        resolve({ killed: signal === 'SIGKILL', ms: performance.now() - started, error: code ? error : '' }),
      );
    });

  try {
    publish(0);
    const { ms, error } = await child(Number.POSITIVE_INFINITY);
    if (error) result.faults.push(`the undisturbed download failed: ${error}`);
    let n = 1;
    publish(n);
    while (result.kills < options.kills && result.faults.length === 0) {
      const after = (random.int(1_000_000) / 1_000_000) * ms * 1.1;
      const ended = await child(after);
      if (ended.error) result.faults.push(`a child failed: ${ended.error}`);
      const found = await look(n);
      if (ended.killed) {
        result.kills++;
        result.found[found === n ? 'new' : found === n - 1 ? 'old' : 'none']++;
        options.onKill?.(
          `kill ${result.kills} after ${after.toFixed(0)} ms: the cache holds version ${found} of ${n}`,
        );
      } else if (found !== n) result.faults.push(`a download that ended left version ${found}, not ${n}`);
      if (found !== n) continue;
      result.finished++;
      publish(++n);
    }
  } finally {
    result.resumed = hub.asked.filter(({ range }) => range !== undefined).length;
    await hub.stop();
  }
  return result;

  /** The version that `org/tiny` is in the cache, every byte compared; every blob and link looked at. */
  async function look(n: number): Promise<number | undefined> {
    const repository = join(settings.cache, 'models--org--tiny');
    for (const name of readdirSync(join(repository, 'blobs'))) {
      if (name.endsWith('.incomplete')) continue;
      const content = readFileSync(join(repository, 'blobs', name));
      if (name !== sha256(content) && name !== gitHash(content))
        result.faults.push(`blob ${name} is not what its name says`);
    }
    for (const commit of readdirSync(join(repository, 'snapshots')))
      for (const name of readdirSync(join(repository, 'snapshots', commit)))
        if (!name.startsWith('.') && !existsSync(join(repository, 'snapshots', commit, name)))
          result.faults.push(`${commit}/${name} leads nowhere`);
    const opened = await fetchModel(parseHubId(NAME)!, { settings: { ...settings, offline: true } }).catch(
      () => undefined,
    );
    if (opened === undefined) return undefined;
    const which = Number(opened.commit);
    if (which !== n && which !== n - 1) result.faults.push(`refs/main names ${opened.commit}`);
    for (const [name, content] of Object.entries(version(which, bytes)))
      if (!readFileSync(join(opened.path, name)).equals(content))
        result.faults.push(`version ${which}: ${name} has other bytes`);
    return which;
  }
}
