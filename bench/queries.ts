// How many queries of a real server it takes until p <= alpha: every key is asked once a condition, then the stopped test is run over these
// answers in many orders of the keys. Temperature and system prompt are the server's doing: a proxy on loopback writes them in.
// Run: npx tsx bench/queries.ts --run RUN --server NAME=http://127.0.0.1:8080/v1 … [--orders 2000] [--only chat] [--temperatures 0,1]

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { seededRandom } from '../src/base/random-source.ts';
import { looksOf } from '../src/claim/grinding.ts';
import { CLAIM_KINDS } from '../src/claim/kinds.ts';
import type { OpenedOf } from '../src/claim/open.ts';
import { generateAll } from '../src/lm/ask.ts';
import { EndpointModel } from '../src/lm/endpoint/endpoint-model.ts';
import type { EndpointKind } from '../src/lm/endpoint/settings.ts';
import { questionUnder } from '../src/lm/language-model.ts';
import { wrapperInTurns, wrapperNamed } from '../src/text/prompts/wrappers.ts';
import { type Matches, matchAnswers } from '../src/verify/exact/exact-test.ts';
import { NO_EVIDENCE } from '../src/verify/exactness.ts';
import { trialsOf, WAYS_TO_PUT, waysOfStopping } from '../src/verify/paid.ts';
import { Course, type Goal } from '../src/verify/sequential/course.ts';
import { flag, openRun, table } from './machines.ts';

const SYSTEMS: Readonly<Record<string, string | null>> = {
  none: null,
  ordinary: 'You are a helpful, honest assistant. Answer briefly and politely.',
  paraphrasing: "First say the user's message again in other words, then answer it.",
};

interface Condition {
  readonly kind: EndpointKind;
  readonly wrapper: string;
  readonly temperature: number;
  readonly system: string;
}

/** What stands between a server and its users: writes its own temperature and system prompt into everything. */
async function proxy(
  url: string,
  { temperature, system }: Condition,
): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
      const said = SYSTEMS[system];
      const messages = body.messages as object[] | undefined;
      const sent = {
        ...body,
        temperature,
        ...(messages && said && { messages: [{ role: 'system', content: said }, ...messages] }),
      };
      const path = new URL(`${url}${request.url!.replace(/^\/v1/, '')}`);
      fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(sent),
      })
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
        .catch((error: unknown) => response.writeHead(502).end(String(error)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: () => server.close(),
  };
}

async function answersUnder(url: string, condition: Condition): Promise<string[]> {
  const { kind, wrapper } = condition;
  const between = await proxy(url, condition);
  const model = await EndpointModel.open({
    ...{ kind: 'endpoint', url: between.url, model_name: 'suspect', endpoint_kind: kind },
    ...{ concurrency: 1, timeout: 600 },
  });
  try {
    const wrapped = kind === 'chat' ? wrapperInTurns(wrapper) : wrapperNamed(wrapper, {});
    const { max_new_tokens } = plan.decoding;
    const requests = plan.keys.map(({ text }) => ({ ...questionUnder(wrapped, text), max_new_tokens }));
    return (await generateAll(model, requests)).map(({ generated }) => generated);
  } finally {
    await model.release();
    between.close();
  }
}

const shuffled = (count: number, random: { int: (below: number) => number }): number[] => {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
};

/** Keys until a word is reached in each of so many orders; Infinity where it is not. */
function queriesTo(named: Matches, wrapper: string, until: Goal): number[] {
  const random = seededRandom('queries');
  const stakes = {
    multiplicity:
      looksOf(run.opened.claim, plan, WAYS_TO_PUT, size.n) *
      waysOfStopping(plan, { wrapper, system: null }, 0, size.n),
    ...{ alpha: plan.alpha, trials: trialsOf(claim.draw, NO_EVIDENCE), until },
  };
  return Array.from({ length: orders }, () => {
    const order = shuffled(size.n, random);
    const inOrder = { kind: 'drawn-answers' as const, indices: order.map((i) => draw.indices[i]!) };
    const course = new Course('drawn-answers', size, inOrder, { of: size.n }, stakes);
    for (const i of order) course.take(named[i]!);
    return course.stop === until ? course.asked : Number.POSITIVE_INFINITY;
  });
}

function quantile(counts: readonly number[], share: number): string {
  const at = [...counts].sort((a, b) => a - b)[Math.floor(share * (counts.length - 1))]!;
  return Number.isFinite(at) ? String(at) : 'never';
}

const run = await openRun(flag('run')[0]!);
const { plan, draw, claim } = run.opened as OpenedOf<'drawn-answers'>;
if (plan.kind !== 'drawn-answers') throw new Error('this script asks claims of drawn answers (rows)');
const size = CLAIM_KINDS['drawn-answers'].size(plan);
const orders = Number(flag('orders')[0] ?? 2000);
const only = flag('only')[0];
const temperatures = (flag('temperatures')[0] ?? '0,1').split(',').map(Number);
const bare = { kind: 'completions', wrapper: plan.query.wrapper } as const;
const chat = { kind: 'chat', wrapper: 'chat' } as const;
const CONDITIONS: readonly Condition[] = [
  ...temperatures.map((temperature) => ({ ...bare, temperature, system: 'none' })),
  ...temperatures.map((temperature) => ({ ...chat, temperature, system: 'none' })),
  { ...chat, temperature: 0, system: 'ordinary' },
  { ...chat, temperature: 0, system: 'paraphrasing' },
];
const rows = [
  ['server', 'call', 'temp.', 'system', 'hits', 'to alpha: median', '90 %', 'never', 'to verified: median'],
];
for (const given of flag('server')) {
  const [name, url] = [given.slice(0, given.indexOf('=')), given.slice(given.indexOf('=') + 1)];
  for (const condition of CONDITIONS) {
    if (only !== undefined && only !== condition.kind) continue;
    const answers = await answersUnder(url, condition);
    const { kind, wrapper, temperature, system } = condition;
    const named = matchAnswers(plan, answers);
    const hits = named.filter((found, i) => found.includes(draw.indices[i]!)).length;
    const [toAlpha, toVerified] = (['matches', 'verified'] as const).map((until) =>
      queriesTo(named, wrapper, until),
    );
    const never = toAlpha!.filter((count) => !Number.isFinite(count)).length / orders;
    rows.push([
      ...[name, kind, String(temperature), system, `${hits} of ${answers.length}`],
      ...[quantile(toAlpha!, 0.5), quantile(toAlpha!, 0.9), `${(100 * never).toFixed(0)} %`],
      quantile(toVerified!, 0.5),
    ]);
    console.error(rows.at(-1)!.join('  '));
  }
}
console.log(table(rows));
