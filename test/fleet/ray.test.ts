// Ray Jobs' REST API against a server on loopback: submitted once, followed, begun again where a job dies, taken up again by a later call;
// what is no Ray is said in one line. bench/fleet.ts has a real one.

import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { silent } from '../../src/base/events.ts';
import { FleetFolder, type TaskPlace } from '../../src/fleet/folder.ts';
import { runAll } from '../../src/fleet/launcher.ts';
import { rayOf } from '../../src/fleet/ray.ts';
import { readFailure, readResult, writeFailure, writeResult } from '../../src/fleet/result.ts';

interface Job {
  readonly submission_id: string;
  readonly entrypoint: string;
  readonly entrypoint_num_cpus: number;
  status: string;
  looks: number;
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** @param end what becomes of a job at its second look @param lost whether the connection ends without an answer, before or after the work */
async function ray(
  end: (job: Job, place: number) => string,
  lost: (line: string) => 'before' | 'after' | 502 | 503 | 504 | undefined = () => undefined,
) {
  const jobs = new Map<string, Job>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    let isLost: ReturnType<typeof lost>;
    const reply = (status: number, value: unknown) =>
      isLost === 'after'
        ? request.socket.destroy()
        : typeof isLost === 'number'
          ? response.writeHead(isLost).end('<html>') // a proxy before a head that restarts, the work done or not
          : response.writeHead(status).end(JSON.stringify(value));
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url} ${Buffer.concat(parts).toString()}`);
      isLost = lost(asked.at(-1)!);
      if (isLost === 'before') return void request.socket.destroy();
      // As Ray's guard against browsers.
      if (request.headers['sec-fetch-mode'] !== undefined) return reply(405, 'browser');
      if (request.url === '/api/version') return reply(200, { version: '4', ray_version: '2.99.0' });
      if (request.method === 'POST' && request.url === '/api/jobs/') {
        const body = JSON.parse(Buffer.concat(parts).toString()) as Job;
        if (jobs.has(body.submission_id)) return reply(500, 'already exists');
        jobs.set(body.submission_id, { ...body, status: 'PENDING', looks: 0 });
        return reply(200, { job_id: '1', submission_id: body.submission_id });
      }
      const job = jobs.get(request.url!.split('/').at(-1)!);
      if (!job) return reply(404, 'no job');
      if (job.status === 'PENDING') job.status = 'RUNNING';
      else if (job.status === 'RUNNING' && ++job.looks > 1)
        job.status = end(job, [...jobs.keys()].indexOf(job.submission_id));
      return reply(200, {
        status: job.status,
        message: job.status === 'FAILED' ? 'killed\nby somebody' : '',
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, jobs, asked };
}

function places(count: number): TaskPlace[] {
  const folder = new FleetFolder(mkdtempSync(join(tmpdir(), 'whorl-ray-')));
  closing.push(() => Promise.resolve(rmSync(folder.path, { recursive: true, force: true })));
  return Array.from({ length: count }, (_, i) => {
    const place = folder.placeOf({
      ...{ command: 'verify', name: `s${i}`, sha256: null, bound: {}, options: {}, settings: {} },
      ...{ who: { kind: 'hub', id: `org/m${i}` }, files: { secret: '/owner/secret.whorl' } },
    });
    folder.keepPlace(place);
    return place;
  });
}
const placeOf = (all: readonly TaskPlace[], { entrypoint }: Job): TaskPlace =>
  all.find(({ folder }) => entrypoint.includes(folder))!;
const fast = (address: string, run = '0123456789abcdef', jobs = 2) =>
  rayOf({ address, run, lookMs: 1, jobs });

describe('a cluster', () => {
  test('each task is one job; one that dies is begun again; nothing but paths is sent', async () => {
    const all = places(5);
    const died = new Set<string>();
    const { address, jobs, asked } = await ray((job) => {
      const { folder, task } = placeOf(all, job);
      if (task.name === 's2' && died.size === 0) {
        died.add(task.id);
        return 'FAILED';
      }
      writeResult(folder, task, { answer: task.name });
      return 'SUCCEEDED';
    });
    const ended = await runAll(all, fast(address), 'suspects', silent);
    expect(ended).toEqual({ done: 5, failed: 0 });
    expect(jobs.size).toBe(6);
    expect(all.map(({ folder, task }) => readResult(folder, task)?.answer)).toEqual([
      's0',
      's1',
      's2',
      's3',
      's4',
    ]);
    for (const job of jobs.values()) {
      expect(job.entrypoint).toMatch(/ task \S+ --threads 1 --quiet$/);
      expect(Object.keys(job).sort()).toEqual(
        ['entrypoint', 'entrypoint_num_cpus', 'looks', 'status', 'submission_id'].sort(),
      );
    }
    expect(asked.join('\n')).not.toContain('secret.whorl');
    // All have results: not even Ray's version is asked for.
    const before = asked.length;
    expect(await runAll(all, fast(address), 'suspects', silent)).toEqual({ done: 5, failed: 0 });
    expect(asked).toHaveLength(before);
  });
  test.each(['before', 'after', 502, 503, 504] as const)(
    'answers that do not come (%s), of looks and of new jobs: nothing is lost, nothing begun twice',
    async (when) => {
      const all = places(3);
      const times = new Map<string, number>();
      const { address, jobs, asked } = await ray(
        (job) => {
          const { folder, task } = placeOf(all, job);
          writeResult(folder, task, {});
          return 'SUCCEEDED';
        },
        (line) => {
          if (line.includes('/api/version')) return undefined;
          const count = (times.get(line) ?? 0) + 1;
          times.set(line, count);
          return count < 3 ? when : undefined;
        },
      );
      expect(await runAll(all, fast(address), 'suspects', silent)).toEqual({ done: 3, failed: 0 });
      expect(jobs.size).toBe(3);
      expect(asked.filter((line) => line.startsWith('POST')).length).toBeGreaterThan(3);
    },
  );
  test('never more jobs at a time than were asked for', async () => {
    const all = places(6);
    let most = 0;
    const { address, jobs } = await ray((job) => {
      most = Math.max(most, [...jobs.values()].filter(({ status }) => status !== 'SUCCEEDED').length);
      const { folder, task } = placeOf(all, job);
      writeResult(folder, task, {});
      return 'SUCCEEDED';
    });
    await runAll(all, fast(address, '0123456789abcdef', 3), 'suspects', silent);
    expect(most).toBe(3);
  });
  test('a task that says why it failed is not begun again; a later call does', async () => {
    const all = places(2);
    let well = false;
    const { address, jobs } = await ray((job) => {
      const { folder, task } = placeOf(all, job);
      if (task.name === 's0' && !well) {
        writeFailure(folder, task, { code: 'bad-file', message: 'no model' });
        return 'FAILED';
      }
      writeResult(folder, task, {});
      return 'SUCCEEDED';
    });
    expect(await runAll(all, fast(address), 'suspects', silent)).toEqual({ done: 1, failed: 1 });
    expect(jobs.size).toBe(2);
    well = true;
    expect(await runAll(all, fast(address), 'suspects', silent)).toEqual({ done: 2, failed: 0 });
    expect([...jobs.keys()].filter((id) => id.endsWith('-2'))).toHaveLength(1);
    expect(readFailure(all[0]!.folder, all[0]!.task)).toBeUndefined();
  });
  test('one that always dies without a word is a failure after three runs, and the others end', async () => {
    const all = places(3);
    const { address, jobs } = await ray((job) => {
      const { folder, task } = placeOf(all, job);
      if (task.name === 's1') return 'FAILED';
      writeResult(folder, task, {});
      return 'SUCCEEDED';
    });
    expect(await runAll(all, fast(address), 'suspects', silent)).toEqual({ done: 2, failed: 1 });
    expect(jobs.size).toBe(5);
    const { folder, task } = all[1]!;
    expect(readFailure(folder, task)).toMatchObject({
      code: 'job-failed',
      message: expect.stringMatching(/3 runs .* FAILED at Ray .*killed by somebody$/) as string,
    });
  });
  test('a job that Ray forgets while it runs is begun again, under the same name', async () => {
    const all = places(2);
    let forgotten = 0;
    const cluster = await ray((job) => {
      const { folder, task } = placeOf(all, job);
      if (task.name === 's0' && forgotten++ === 0) {
        cluster.jobs.delete(job.submission_id);
        return 'RUNNING';
      }
      writeResult(folder, task, {});
      return 'SUCCEEDED';
    });
    expect(await runAll(all, fast(cluster.address), 'suspects', silent)).toEqual({ done: 2, failed: 0 });
    expect([...cluster.jobs.keys()].every((id) => id.endsWith('-1'))).toBe(true);
    expect(cluster.asked.filter((line) => line.startsWith('POST'))).toHaveLength(3);
  });
  test('a head that answers errors about jobs without end: one line, and the same call goes on', async () => {
    const all = places(1);
    let well = false;
    const { address, jobs } = await ray(
      (job) => {
        const { folder, task } = placeOf(all, job);
        writeResult(folder, task, {});
        return 'SUCCEEDED';
      },
      (line) => (well || line.includes('/api/version') ? undefined : 503),
    );
    await expect(runAll(all, fast(address), 'suspects', silent)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(
        /^Ray at \S+ answers 503: start it [^\n]* the same command goes on$/,
      ) as string,
    });
    well = true;
    expect(await runAll(all, fast(address), 'suspects', silent)).toEqual({ done: 1, failed: 0 });
    expect(jobs.size).toBe(1);
  });
  test('a call that takes over follows jobs that run, and begins none twice', async () => {
    const all = places(2);
    let may = false;
    const { address, jobs, asked } = await ray((job) => {
      if (!may) return 'RUNNING';
      const { folder, task } = placeOf(all, job);
      writeResult(folder, task, {});
      return 'SUCCEEDED';
    });
    const first = fast(address);
    void first.run(all[0]!);
    while (jobs.size === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    may = true;
    expect(await runAll(all, fast(address), 'suspects', silent)).toEqual({ done: 2, failed: 0 });
    expect(jobs.size).toBe(2);
    expect(asked.filter((line) => line.startsWith('POST'))).toHaveLength(2);
    // Another fleet in the same folder has other names.
    rmSync(join(all[0]!.folder, 'result.json'));
    await runAll(all, fast(address, 'fedcba9876543210'), 'suspects', silent);
    expect(jobs.size).toBe(3);
  });
});

test('a cluster that asks for a token gets RAY_AUTH_TOKEN, and refuses in one line without', async () => {
  const seen: (string | undefined)[] = [];
  const server = createServer(({ headers: { authorization } }, response) => {
    seen.push(authorization);
    response.writeHead(authorization === 'Bearer t0ken' ? 200 : 401).end('{"ray_version": "2"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const before = process.env.RAY_AUTH_TOKEN;
  closing.push(() => {
    if (before === undefined) delete process.env.RAY_AUTH_TOKEN;
    else process.env.RAY_AUTH_TOKEN = before;
    return Promise.resolve();
  });
  delete process.env.RAY_AUTH_TOKEN;
  await expect(fast(address).check()).rejects.toMatchObject({
    code: 'endpoint',
    message: expect.stringContaining('RAY_AUTH_TOKEN') as string,
  });
  process.env.RAY_AUTH_TOKEN = 't0ken';
  await fast(address).check();
  process.env.RAY_AUTH_TOKEN = 'hid\nden';
  expect(() => fast(address)).toThrow(/RAY_AUTH_TOKEN/);
  expect(() => fast(address)).not.toThrow(/hid/);
  expect(seen).toEqual([undefined, 'Bearer t0ken']);
});

describe('what is no Ray', () => {
  const refused = async (address: string) => {
    const all = places(1);
    const error: unknown = await runAll(
      all,
      rayOf({ address, run: '0'.repeat(16), lookMs: 1 }),
      's',
      silent,
    ).catch((e: unknown) => e);
    expect(readdirSync(all[0]!.folder)).toEqual(['task.json']);
    return error as { code: string; message: string };
  };
  test('nobody answers', async () => {
    const { code, message } = await refused('http://127.0.0.1:9');
    expect(code).toBe('unreachable');
    expect(message).toMatch(
      /^Ray at http:\/\/127.0.0.1:9 refuses the connection: start it \(ray start --head\)[^\n]+$/,
    );
  });
  test.each([
    ['a web page', 200, '<html>'],
    ['JSON without a version', 200, '{}'],
    ['an error', 503, '{"ray_version": "2"}'],
    ['a redirect', 302, ''],
    ['without end', 200, 'x'.repeat(5 << 20)],
  ])('%s', async (_, status, body) => {
    const server = createServer((_, response) => response.writeHead(status, { location: '/else' }).end(body));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    const { code, message } = await refused(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(code).toBe('endpoint');
    expect(message).not.toContain('\n');
  });
  test.each(['ray://host:10001', 'auto', 'host:6379', 'http://me:word@host:8265'])(
    'the address %s',
    (address) => {
      expect(() => rayOf({ address, run: '0'.repeat(16) })).toThrow(/http:\/\/HOST:8265/);
      expect(() => rayOf({ address, run: '0'.repeat(16) })).not.toThrow(/word/);
    },
  );
  test('RAY_ADDRESS is used where no address is given', () => {
    const before = process.env.RAY_ADDRESS;
    process.env.RAY_ADDRESS = 'auto';
    try {
      expect(() => rayOf({ run: '0'.repeat(16) })).toThrow(/RAY_ADDRESS/);
    } finally {
      if (before === undefined) delete process.env.RAY_ADDRESS;
      else process.env.RAY_ADDRESS = before;
    }
  });
});
