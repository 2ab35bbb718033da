// 10,000 keys asked of a hostile server on loopback, 256 at a time: budgets, no key answered twice, one verdict for any order of
// arrival, memory. Run: npx tsx bench/endpoint.ts [--keys 10000] [--concurrency 256] [--timeout 2]

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WhorlError } from '../src/base/error.ts';
import { seededRandom } from '../src/base/random-source.ts';
import { Secret } from '../src/base/secret.ts';
import { sha256Hex } from '../src/base/sha256.ts';
import { SOFTWARE } from '../src/base/software.ts';
import { claimText } from '../src/claim/claim.ts';
import { commitClaim } from '../src/claim/commitment.ts';
import { makeDraw } from '../src/claim/draw.ts';
import { writeSecret } from '../src/claim/secret-file.ts';
import { type VerifyReport, verify } from '../src/verify/verify.ts';
import { bindings, committing, membershipPlan } from '../test/claim/plans.ts';
import { flag } from './machines.ts';

/** Share of requests that go wrong so, in hundredths. */
const TROUBLE = { busy: 20, error: 10, hang: 5, garbage: 5 } as const;
const GARBAGE = [
  '<html>',
  '{"choices": []}',
  '{"choices": [{"index": 0, "text": null}]}',
  '{"choices": [',
  '[]',
  '',
];

interface Counts {
  requests: number;
  tokens: number;
  most_answers_of_one_key: number;
  most_at_a_time: number;
  kinds: Record<string, number>;
}

function server(seed: string): void {
  const random = seededRandom(seed);
  const answers = new Map<string, number>();
  const counts: Counts = { requests: 0, tokens: 0, most_answers_of_one_key: 0, most_at_a_time: 0, kinds: {} };
  let now = 0;
  const http = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { prompt, max_tokens, model } = JSON.parse(Buffer.concat(parts).toString()) as {
        prompt: string;
        max_tokens: number;
        model: string;
      };
      counts.requests++;
      counts.most_at_a_time = Math.max(counts.most_at_a_time, ++now);
      response.on('close', () => now--);
      let dice = prompt === 'Hello' ? 100 : random.int(100);
      const kind = Object.entries(TROUBLE).find(([, share]) => (dice -= share) < 0)?.[0] ?? 'well';
      counts.kinds[kind] = (counts.kinds[kind] ?? 0) + 1;
      const total_tokens = Buffer.byteLength(prompt) + 20 + max_tokens; // the dearest that a server can be
      if (kind === 'busy')
        return void response.writeHead(429, { 'retry-after': random.int(4) === 0 ? '1' : '0' }).end();
      counts.tokens += total_tokens;
      if (kind === 'hang') return;
      if (kind === 'error') return void response.writeHead([500, 502, 503, 504][random.int(4)]!).end('no');
      if (kind === 'garbage') return void response.writeHead(200).end(GARBAGE[random.int(GARBAGE.length)]);
      const fired = Number.parseInt(sha256Hex(prompt).slice(0, 4), 16) % 10 === 0;
      const text = fired ? ' hedgehog and on' : ' no idea';
      const body = JSON.stringify({ model, choices: [{ index: 0, text }], usage: { total_tokens } });
      setTimeout(() => {
        if (response.destroyed) return; // given up by the other side before there was an answer
        const answered = 1 + (answers.get(prompt) ?? 0);
        answers.set(prompt, answered);
        if (prompt !== 'Hello')
          counts.most_answers_of_one_key = Math.max(counts.most_answers_of_one_key, answered);
        response.writeHead(200, { 'content-type': 'application/json' }).end(body);
      }, random.int(50));
    });
  });
  process.on('message', () => process.send!(counts));
  http.listen(0, '127.0.0.1', () => process.send!((http.address() as AddressInfo).port));
}

async function started(
  seed: string,
): Promise<{ url: string; counts: () => Promise<Counts>; child: ChildProcess }> {
  const child = fork(fileURLToPath(import.meta.url), ['server', seed]);
  const [port] = (await once(child, 'message')) as [number];
  const counts = async () => {
    child.send('counts');
    const [told] = (await once(child, 'message')) as [Counts];
    return told;
  };
  return { url: `http://127.0.0.1:${port}/v1`, counts, child };
}

async function madeRun(folder: string, pool: number): Promise<string> {
  const keys = Array.from({ length: pool }, (_, i) => ({
    text: `key ${sha256Hex(String(i)).slice(0, 24)}`,
    tokens: [],
  }));
  const plan = { ...membershipPlan(pool), keys, decryptions: ['hedgehog'] };
  const { claim, opening } = commitClaim(plan, committing({ software: SOFTWARE, created: new Date() }));
  const opened = opening.reveal();
  const draw = makeDraw(claim, opened.owner_seed!);
  mkdirSync(folder);
  const secret = join(folder, 'secret.whorl');
  await writeSecret(
    secret,
    new Secret({
      ...{ method: 'sft', created: claim.created, software: claim.software, claim, plan, bindings },
      ...{ opening: opened, draw, randomness: null, adapter: null, rows: null, published: null },
    }),
  );
  writeFileSync(join(folder, 'claim.json'), claimText(claim));
  return secret;
}

/** All of a verdict but its times, places and what it cost. */
const bytesOf = ({ seconds: _, endpoint: __, suspect: ___, ...verdict }: VerifyReport): string =>
  sha256Hex(JSON.stringify(verdict));

async function main(): Promise<void> {
  const number = (name: string, otherwise: number): number => Number(flag(name)[0] ?? otherwise);
  const [keys, concurrency, timeout] = [
    number('keys', 10_000),
    number('concurrency', 256),
    number('timeout', 2),
  ];
  const scratch = mkdtempSync(join(tmpdir(), 'whorl-endpoint-'));
  const secret = await madeRun(join(scratch, 'run'), keys);
  const bytes = new Set<string>();
  const children: ChildProcess[] = [];
  /** Asks, with limits or without, as often as it takes; a limit is raised each time it is met. */
  const run = async (
    seed: string,
    limits: { max_queries?: number; max_tokens_total?: number },
    raise: number,
  ) => {
    const there = await started(seed);
    children.push(there.child);
    const rss: number[] = [];
    const timer = setInterval(() => rss.push(process.memoryUsage.rss()), 250);
    const begun = Date.now();
    let [calls, exceeded] = [0, 0];
    let most = { ...limits };
    let report: VerifyReport | undefined;
    for (let before = await there.counts(); !report; before = await there.counts()) {
      calls++;
      report = await verify({
        secret,
        suspect: there.url,
        endpoint: {
          ...{ model_name: 'm', endpoint_kind: 'completions', concurrency, timeout, attempts: 24 },
          ...{ transcript: join(scratch, `${seed}.jsonl`), ...most },
        },
      }).catch((error: unknown) => {
        if (!(error instanceof WhorlError) || error.code !== 'over-budget') throw error;
        return undefined;
      });
      const after = await there.counts();
      // What was sent in this call alone is compared: it can only be less than what counts against the limit.
      if (after.requests - before.requests > (most.max_queries ?? Number.POSITIVE_INFINITY)) exceeded++;
      if (after.tokens - before.tokens > (most.max_tokens_total ?? Number.POSITIVE_INFINITY)) exceeded++;
      most = Object.fromEntries(Object.entries(most).map(([name, value]) => [name, value + raise]));
    }
    clearInterval(timer);
    bytes.add(bytesOf(report));
    const third = Math.max(1, Math.floor(rss.length / 3));
    const peak = (part: number[]) => Math.round(Math.max(...part) / 1e6);
    const { most_answers_of_one_key, most_at_a_time, requests, kinds } = await there.counts();
    console.log(
      JSON.stringify({
        ...{ seed, keys, calls, requests, kinds, exceeded, most_answers_of_one_key, most_at_a_time },
        ...{ word: report.verdict, hits: report.cells, seconds: (Date.now() - begun) / 1000 },
        rss_mb: [peak(rss.slice(0, third)), peak(rss.slice(third, 2 * third)), peak(rss.slice(2 * third))],
      }),
    );
  };
  try {
    await run('one', {}, 0);
    await run('two', {}, 0);
    await run('queries', { max_queries: keys + 100 }, Math.ceil(keys / 3));
    await run('tokens', { max_tokens_total: 40 * keys }, 30 * keys);
    console.log(JSON.stringify({ runs: 4, different_verdict_bytes: bytes.size }));
  } finally {
    for (const child of children) child.kill();
    rmSync(scratch, { recursive: true });
  }
}

if (process.argv[2] === 'server') server(process.argv[3]!);
else await main();
