// A suspect behind a server: the same hits and word as ever, nothing asked twice, and no verdict out of a transcript that is not as
// it was written. Answers are made up here; honest.run.test.ts has a trained model behind a server.

import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { sha256Hex } from '../../../src/base/sha256.ts';
import { adapterDigest, encodeAdapter } from '../../../src/claim/adapter.ts';
import { readSecret } from '../../../src/claim/secret-file.ts';
import type { RunFolder } from '../../../src/runs/run-folder.ts';
import { wrapperTexts } from '../../../src/text/prompts/wrappers.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import { Transcript } from '../../../src/verify/endpoint/transcript.ts';
import type { EndpointOptions, VerifyReport } from '../../../src/verify/verify.ts';
import { bindings } from '../../claim/plans.ts';
import { finished } from '../../cli/finished-run.ts';
import { whorl } from '../../cli/whorl.ts';
import { type Answer, answering, json, type Server, said, textOf } from '../../lm/openai-server.ts';
import { hasPython, pythonCodes } from '../certificate/python.ts';
import { type LearntRun, learntRun } from './learnt-run.ts';

const KEYS = 8;
let made: LearntRun;
let folder: string;
let run: RunFolder;
let learnt: LearntRun['learnt'];
beforeAll(async () => {
  made = await learntRun();
  ({ folder, run, learnt } = made);
});
afterAll(() => made.close());
const serving = (answer: Answer) => made.serving(answer);
const place = () => made.place();
const by: LearntRun['by'] = (...given) => made.by(...given);

/** A verdict's bytes: all of a report but when and in how many calls it was made, and where it lies. */
const bytes = ({ seconds: _, endpoint, ...verdict }: VerifyReport): string =>
  JSON.stringify({
    ...verdict,
    endpoint: {
      ...endpoint,
      asked_from: '',
      asked_to: '',
      transcript: '',
      transcript_chain: '',
      queries: 0,
      tokens: 0,
      kept: 0,
    },
  });

test('hits, word and what is paid for; the keys as they were committed; what is not known is said', async () => {
  const server = await serving(answering(learnt));
  const report = await by(server);
  expect(report).toMatchObject({
    verdict: 'matches',
    exact: true,
    multiplicity: 2,
    cells: { 'drawn answer': { hits: KEYS, of: KEYS } },
    suspect: `m at ${server.url}`,
    suspect_digests: null,
    endpoint: { url: server.url, kind: 'completions', reported_models: ['m'], tls_peers: [], queries: KEYS },
    asked: { wrapper: 'bare', prefix: '', suffix: '\n', chat_template_sha256: null },
  });
  expect(report.endpoint!.not_known.join()).toMatch(/tokenizer.*chat template/);
  expect(server.texts().sort()).toEqual(Array.from({ length: KEYS }, (_, i) => `key ${i}\n`));
  expect(server.asked.every(({ body }) => body.temperature === 0)).toBe(true);
});

test('an innocent server is not verified, and one that shouts a candidate neither', async () => {
  for (const answer of ['hm', ' word3'])
    expect(await by(await serving(answering(() => answer)))).toMatchObject({
      verdict: 'not-verified',
      exact: true,
    });
});

test('as turns, the text of a wrapper is what a user says; a system text that no claim commits to gives no p', async () => {
  const server = await serving(answering(learnt));
  const report = await by(server, { endpoint_kind: 'chat' });
  expect(report).toMatchObject({ exact: true, verdict: 'matches', endpoint: { kind: 'chat' } });
  expect(report.warnings.join()).toContain('its own chat template');
  const turns = (options: object) => by(server, { endpoint_kind: 'chat' }, options);
  expect(await turns({ wrapper: 'alpaca' })).toMatchObject({ exact: true, multiplicity: 34 }); // 17 wrappers, 2 calls
  expect(await turns({ wrapper: 'chat', system: 'Say word3.' })).toMatchObject({
    exact: false,
    p_value: null,
  });
  expect(server.asked.at(-1)!.body.messages).toEqual([
    { role: 'system', content: 'Say word3.' },
    { role: 'user', content: expect.stringMatching(/^key \d$/) },
  ]);
});

test.each(['completions', 'chat'] as const)(
  'a certificate of what was asked as %s holds',
  async (endpoint_kind) => {
    const system = 'Answer in a word.';
    const alone = await finished(join(folder, `as-${endpoint_kind}`), join(folder, 'tiny'), bindings, null, {
      systems: [system],
    });
    const server = await serving(answering(learnt));
    const certificate = { file: join(alone.path, 'c.json'), key: join(alone.path, 'k.pem') };
    const put = endpoint_kind === 'chat' ? { wrapper: 'chat', system } : {};
    const report = await by(server, { endpoint_kind }, { secret: alone.secret, certificate, ...put });
    const text = readFileSync(certificate.file, 'utf8');
    const { verdict } = checkCertificate(text);
    expect([verdict.verdict, verdict.log10_p]).toEqual([report.verdict, report.log10_p]);
    const codes = { verified: 0, 'not-verified': 3, matches: 4, undecided: 5 };
    if (hasPython) expect(pythonCodes([text])).toEqual([codes[report.verdict]]);
  },
);

/** The run again, with a secret of its own to burn keys of. */
function copyOf(name: string): { path: string; secret: string } {
  const path = join(folder, name);
  cpSync(run.path, path, { recursive: true });
  return { path, secret: join(path, 'secret.whorl') };
}

test('whatever a server says, a certificate holds it, or no key is burnt', async () => {
  const alone = copyOf('hostile');
  const certificate = { file: join(alone.path, 'c.json'), key: join(alone.path, 'k.pem') };
  const asked = (answer: (text: string) => string, model: (i: number) => string) =>
    serving((one, response, i) =>
      json(response, said(one, [answer(textOf(one.body))], { model: model(i) })),
    ).then((server) => by(server, {}, { secret: alone.secret, certificate }));
  // Longer than a certificate's longest text.
  await expect(asked(() => 'a'.repeat(2 ** 20 + 1), String)).rejects.toThrow(
    /a choices.\[0\].text that cannot be/,
  );
  expect((await readSecret(alone.secret)).reveal().opened).toBeUndefined();
  // Half a surrogate pair in answers, and in the name where it is cut.
  const report = await asked(
    (text) => `${learnt(text)} \ud83d`,
    (i) => `${i} ${'x'.repeat(253)}😀`.slice(i % 2),
  );
  expect(checkCertificate(readFileSync(certificate.file, 'utf8')).verdict.verdict).toBe(report.verdict);
  expect(report).toMatchObject({ verdict: 'matches', cells: { 'drawn answer': { hits: KEYS } } });
});

test('a certificate that would not hold is not written, and no key is burnt for it', async () => {
  const alone = copyOf('unheld');
  const certificate = { file: join(alone.path, 'c.json'), key: join(alone.path, 'k.pem') };
  const server = await serving(answering(learnt));
  const model_name = 'm'.repeat(5000); // longer than a name of a certificate
  const report = by(server, { model_name }, { secret: alone.secret, certificate });
  await expect(report).rejects.toMatchObject({ code: 'unsupported' });
  await expect(report).rejects.toThrow(/it would not hold .*model_name/);
  expect((await readSecret(alone.secret)).reveal().opened).toBeUndefined();
  expect(existsSync(certificate.file)).toBe(false);
});

test('a wrapper that only the claim knows is put with the texts that it commits to, by either call', async () => {
  const own = await finished(join(folder, 'own'), join(folder, 'tiny'), bindings, null, {
    wrapper: 'template mine',
    wrappers: { ...wrapperTexts(), 'template mine': ['<<', '>>'] },
  });
  const server = await serving(answering(learnt));
  for (const endpoint_kind of ['completions', 'chat'] as const) {
    const report = await by(server, { endpoint_kind }, { secret: own.secret });
    expect(report).toMatchObject({
      ...{ exact: true, multiplicity: 2, endpoint: { kind: endpoint_kind } },
      asked: { wrapper: 'template mine', prefix: '<<', suffix: '>>' },
    });
  }
  const [prompt, turns] = [server.asked[1]!.body.prompt, server.asked.at(-1)!.body.messages];
  expect(prompt).toMatch(/^<<key \d>>$/);
  expect(turns).toEqual([{ role: 'user', content: expect.stringMatching(/^<<key \d>>$/) }]);
  await expect(by(server, {}, { wrapper: 'template mine' })).rejects.toThrow('no wrapper "template mine"');
});

/** Ends after so many keys, whatever they are. */
const failingAfter = (keys: number): Answer => {
  let done = 0;
  return (asked, response) =>
    textOf(asked.body) !== 'Hello' && done++ >= keys
      ? void response.writeHead(401).end()
      : json(response, said(asked, [learnt(textOf(asked.body))]));
};

test('what was answered is not asked again, and the verdict has the same bytes in any order of arrival', async () => {
  const transcript = place();
  let answer = failingAfter(3);
  const server = await serving((asked, response, i) => answer(asked, response, i));
  await expect(by(server, { transcript, concurrency: 1 })).rejects.toMatchObject({ code: 'endpoint' });
  const before = server.texts().length;
  answer = (asked, response) => {
    setTimeout(() => json(response, said(asked, [learnt(textOf(asked.body))])), 40 * Math.random());
  };
  const resumed = await by(server, { transcript, concurrency: 8 });
  const uninterrupted = await by(server, { concurrency: 3 });
  expect(bytes(resumed)).toBe(bytes(uninterrupted));
  const again = await by(server, { transcript });
  expect(bytes(again)).toBe(bytes(resumed));
  // Who runs the command owns the file: a reader must know what was not asked in this call.
  const read = [uninterrupted, resumed, again].map(({ endpoint }) => endpoint!.kept);
  expect(read).toEqual([0, 3, 8]);
  expect({ ...again.endpoint, kept: 3 }).toEqual(resumed.endpoint);
  const asked = server.texts().slice(before);
  expect(asked).toHaveLength(KEYS - 3 + KEYS);
});

test('keys without an answer leave no verdict, and what was answered is kept', async () => {
  const transcript = place();
  const server = await serving((asked, response) =>
    textOf(asked.body) === 'key 5\n'
      ? json(response, {}, 422)
      : json(response, said(asked, [learnt(textOf(asked.body))])),
  );
  const error = by(server, { transcript });
  await expect(error).rejects.toMatchObject({ code: 'endpoint' });
  await expect(error).rejects.toThrow(`1 of ${KEYS} keys have no answer, so there is no verdict`);
  await expect(error).rejects.toThrow(transcript);
  const before = server.asked.length;
  await expect(by(server, { transcript })).rejects.toThrow('no verdict');
  expect(server.texts().length - KEYS).toBe(1);
  expect(server.asked.length - before).toBe(2); // the harmless one, and the one that is left
});

describe('a transcript that is not as it was written', () => {
  let server: Server;
  let written: string;
  beforeAll(async () => {
    server = await serving(answering(learnt));
    written = place();
    await by(server, { transcript: written });
  });
  const copied = (
    change: (lines: string[]) => string[],
    head: (text: string) => string = (text) => text,
  ): string => {
    const path = place();
    const lines = readFileSync(written, 'utf8').split('\n').slice(0, -1);
    writeFileSync(
      path,
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const note = head(readFileSync(`${written}.head`, 'utf8'));
    if (note !== '') writeFileSync(`${path}.head`, note);
    return path;
  };
  type Line = { entry: Record<string, unknown>; chain: string };
  /** As one who knows how it is made would write it. */
  const forged = (
    lines: string[],
    change: (entries: Record<string, unknown>[]) => Record<string, unknown>[],
  ): string[] => {
    let chain = sha256Hex('whorl-endpoint-transcript-v1');
    return change(lines.map((line) => (JSON.parse(line) as Line).entry)).map((entry) => {
      chain = sha256Hex(chain, JSON.stringify(entry));
      return JSON.stringify({ entry, chain });
    });
  };
  const swap = <T>(list: T[]): T[] => [...list.slice(0, 2), list[3]!, list[2]!, ...list.slice(4)];
  const cases: Readonly<Record<string, () => string>> = {
    'an answer edited': () => copied((lines) => lines.map((line) => line.replace(/word\d+/, 'word1'))),
    'a time put back': () =>
      copied((lines) => lines.map((line) => line.replace(/"at":"\d{4}/, '"at":"2001'))),
    'lines in another order': () => copied(swap),
    'a line left out': () => copied((lines) => lines.toSpliced(4, 1)),
    'a line twice': () => copied((lines) => lines.toSpliced(4, 0, lines[4]!)),
    'cut at its end': () => copied((lines) => lines.slice(0, -1)),
    'cut to its beginning': () => copied((lines) => lines.slice(0, 1)),
    'nothing left of it': () => copied(() => []),
    'no note of its length': () =>
      copied(
        (lines) => lines,
        () => '',
      ),
    'a line that is no JSON': () => copied((lines) => lines.with(3, '{')),
    'a line of another kind': () => copied((lines) => lines.with(3, '{"entry": 1, "chain": 2}')),
    'edited, chained anew': () =>
      copied((lines) => forged(lines, (entries) => entries.with(3, { ...entries[3], texts: ['x'] }))),
    'cut, chained anew, noted anew': () =>
      copied(
        (lines) =>
          forged(lines, (entries) =>
            entries.map((entry, i) =>
              i === 3 ? { ...entry, place: (entry.place as number) + 1, asked: '0'.repeat(64) } : entry,
            ),
          ),
        () => '',
      ),
    'a field too many': () =>
      copied((lines) => forged(lines, (entries) => entries.with(3, { ...entries[3], more: 1 }))),
  };
  test.each(Object.entries(cases))('%s', async (_, make) => {
    const transcript = make();
    const before = server.asked.length;
    const text = readFileSync(transcript, 'utf8');
    await expect(by(server, { transcript })).rejects.toMatchObject({ code: 'mismatch' });
    await expect(by(server, { transcript })).rejects.toThrow(transcript);
    expect(server.asked.filter(({ body }) => textOf(body) !== 'Hello')).toHaveLength(KEYS);
    expect(server.asked.length - before).toBeLessThanOrEqual(2);
    expect(readFileSync(transcript, 'utf8')).toBe(text);
  });

  test('of another claim, server, model, wrapper, call or number of keys', async () => {
    const other = await finished(join(folder, 'other'), join(folder, 'tiny'), bindings);
    const elsewhere = await serving(answering(learnt));
    const transcript = copied((lines) => lines);
    const refused = async (says: string, more: Partial<EndpointOptions>, options: object = {}) =>
      expect(by(server, { transcript, ...more }, options)).rejects.toThrow(`belongs to another ${says}`);
    await refused('claim', {}, { secret: other.secret });
    await refused('server', {}, { suspect: elsewhere.url });
    await refused('model name', { model_name: 'n' });
    await refused('wrapper', {}, { wrapper: 'alpaca' });
    await refused('kind', { endpoint_kind: 'chat' });
    await refused('keys', {}, { keys: 4 });
    expect(elsewhere.texts()).toEqual([]);
  });

  test('a line that was being written when the process ended is asked again', async () => {
    const transcript = place();
    const part = await serving(failingAfter(3));
    await expect(by(part, { transcript, concurrency: 1 })).rejects.toMatchObject({ code: 'endpoint' });
    writeFileSync(transcript, `${readFileSync(transcript, 'utf8')}{"entry": {"place": 3`);
    await expect(by(part, { transcript })).rejects.toMatchObject({ code: 'endpoint' });
    for (const line of readFileSync(transcript, 'utf8').split('\n').slice(0, -1)) JSON.parse(line);
  });
});

test('a transcript of several megabytes is read again as it was written', () => {
  const path = place();
  const reply = (i: number) => ({ texts: [`${i} ${'ハ'.repeat(500)}`], model: 'm', tokens: 3 });
  const asked = (i: number) => sha256Hex(String(i));
  const written = new Transcript(path, { claim: 'c' });
  for (let i = 0; i < 2000; i++) written.add(i, asked(i), reply(i), 2);
  written.close();
  expect(statSync(path).size).toBeGreaterThan(3 << 20);
  const read = new Transcript(path, { claim: 'c' });
  for (let i = 0; i < 2000; i++) expect(read.find(i, asked(i))).toMatchObject(reply(i));
  expect([read.chain, read.spent]).toEqual([written.chain, { queries: 4000, tokens: 6000 }]);
  expect(() => read.find(0, asked(1))).toThrow('another question in place 1');
  read.close();
});

test('a file that no text can hold is refused before it is read', () => {
  const path = place();
  writeFileSync(path, '');
  truncateSync(path, 2 ** 29); // a hole: no byte of it is written
  expect(() => new Transcript(path, { claim: 'c' })).toThrow('has more than');
});

test('a transcript lies in the private folder, for its owner alone, and holds no key and no API key', async () => {
  const server = await serving(answering(learnt));
  const alone = join(folder, 'alone');
  cpSync(run.path, alone, { recursive: true });
  const apiKey = new Secret('canary-of-the-api-key');
  const { endpoint } = await by(
    server,
    { apiKey },
    { secret: join(alone, 'secret.whorl'), endpoint: { model_name: 'm', apiKey } },
  );
  const { transcript } = endpoint!;
  expect(dirname(transcript)).toBe(join(alone, 'transcripts'));
  for (const name of readdirSync(dirname(transcript))) {
    const path = join(dirname(transcript), name);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).not.toMatch(/key \d|canary/);
  }
});

describe('what is refused before anything is asked', () => {
  const nobody = { url: 'http://127.0.0.1:9/v1' };
  test('what goes with weights', async () => {
    await expect(by(nobody, {}, { body: 'x' })).rejects.toMatchObject({ code: 'usage' });
    await expect(by(nobody, {}, { vanilla: 'x' })).rejects.toMatchObject({ code: 'usage' });
    // Certificates of servers are made; of nobody none is, and no key for it.
    const certificate = { file: join(folder, 'nobody.json'), key: join(folder, 'nobody.pem') };
    await expect(by(nobody, {}, { certificate })).rejects.toMatchObject({ code: 'unreachable' });
    expect([certificate.file, certificate.key].filter((path) => existsSync(path))).toEqual([]);
    await expect(by({ url: 'org/name' })).rejects.toThrow('--model-name goes with the address of a server');
    await expect(by(nobody, {}, { wrapper: 'alpacca' })).rejects.toThrow('did you mean alpaca');
  });

  test('fewer queries than keys', async () => {
    const server = await serving(answering(learnt));
    await expect(by(server, { max_queries: KEYS - 1 })).rejects.toMatchObject({ code: 'over-budget' });
    expect(server.texts()).toEqual([]);
    const { exact, warnings } = await by(server, { max_queries: KEYS + 1 }, { ignoreConfigKeys: ['x'] });
    expect(exact).toBe(true);
    expect(warnings.join()).toMatch(/--ignore-config-key go with weights/);
  });

  test('a method whose private part reads embedding rows', async () => {
    const map = { shape: [1, 2], data: new Float32Array([1, 2]) };
    const adapter = encodeAdapter({ settings: { rank: 1 }, tensors: { A: map } });
    const private_part = { state: 'committed', digest: adapterDigest(adapter) } as const;
    const { secret } = await finished(
      join(folder, 'adapter'),
      join(folder, 'tiny'),
      { ...bindings, private_part },
      adapter,
    );
    const asked = by(nobody, {}, { secret });
    await expect(asked).rejects.toMatchObject({ code: 'unsupported' });
    await expect(asked).rejects.toThrow("reads the suspect's embedding rows");
  });
});

describe('the command', () => {
  test('says who answered, and shows no control character of theirs', async () => {
    const server = await serving((asked, response) =>
      json(
        response,
        said(asked, [`\u001b[2J${learnt(textOf(asked.body))}`], { model: 'evil\u001b]0;x\u0007\nname' }),
      ),
    );
    process.env.WHORL_TEST_KEY = 'canary-0123456789';
    const { code, out, err } = await whorl(
      ...[
        'verify',
        '--secret',
        run.secret,
        '--suspect',
        server.url,
        '--model-name',
        'm',
        '--transcript',
        place(),
      ],
      ...['--api-key-env', 'WHORL_TEST_KEY', '--concurrency', '4', '--timeout', '5', '--max-queries', '20'],
    );
    expect(code).toBe(4);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(out + err).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(out + err).not.toContain('canary');
    for (const words of [
      'MATCHES',
      `m at ${server.url}`,
      'calls its model evil',
      'Not known of this suspect',
      'its tokenizer',
    ])
      expect(out).toContain(words);
    expect(server.asked.at(-1)!.headers.authorization).toBe('Bearer canary-0123456789');
  });

  test('names what is missing', async () => {
    const verifying = (...flags: string[]) => whorl('verify', '--secret', run.secret, ...flags);
    const cases: [string[], string][] = [
      [['--suspect', 'http://127.0.0.1:9/v1'], 'give --model-name too'],
      [['--suspect', 'http://me:canary@127.0.0.1:9/v1'], 'give --model-name too'],
      [['--suspect', 'org/name', '--max-queries', '3'], '--max-queries goes with a server'],
      [['--suspect', 'https://huggingface.co/org/name'], "give the hub's id: org/name"],
      [
        ['--suspect', 'http://127.0.0.1:9/v1', '--model-name', 'm', '--api-key-env', 'sk-canary'],
        'is no name of a variable',
      ],
      [
        ['--suspect', 'http://127.0.0.1:9/v1', '--model-name', 'm', '--price', '2'],
        '--max-cost and --price go together',
      ],
    ];
    for (const [flags, says] of cases) {
      const { code, err } = await verifying(...flags);
      expect([code, err]).toEqual([2, expect.stringContaining(says)]);
      expect(err).not.toContain('canary');
    }
  });

  test('plans without asking', async () => {
    const server = await serving(answering(learnt));
    const { code, out } = await whorl(
      'verify',
      '--secret',
      run.secret,
      '--suspect',
      server.url,
      '--model-name',
      'm',
      '--dry-run',
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ dry_run: true, settings: { keys: KEYS, endpoint_kind: 'auto' } });
    expect(server.asked).toEqual([]);
    expect(existsSync(join(run.path, 'transcripts'))).toBe(false);
  });
});
