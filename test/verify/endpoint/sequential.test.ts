// Key by key: a server is asked no key that is not needed, another call goes on from its transcript, and looks are counted; a suspect
// whose weights lie here likewise. Answers are made up here.

import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256Hex } from '../../../src/base/sha256.ts';
import { readSecret } from '../../../src/claim/secret-file.ts';
import type { RunFolder } from '../../../src/runs/run-folder.ts';
import { checkCertificate } from '../../../src/verify/certificate/check.ts';
import type { EndpointOptions, VerifyReport } from '../../../src/verify/verify.ts';
import { bindings } from '../../claim/plans.ts';
import { finished } from '../../cli/finished-run.ts';
import { whorl } from '../../cli/whorl.ts';
import { type Answer, answering, json, said, textOf } from '../../lm/openai-server.ts';
import { hasPython, pythonCodes } from '../certificate/python.ts';
import { type LearntRun, learntRun } from './learnt-run.ts';

/** Of 8 keys of 16 candidates, so many good answers reach alpha behind a server (four ways), and here (two). */
const [SERVER, HERE] = [7, 6];
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
const by = (
  server: { url: string },
  sequential: object,
  more: Partial<EndpointOptions> = {},
  options: object = {},
) => made.by(server, more, { sequential, ...options });
/** All that a verdict says of the suspect. */
const said_ = ({ verdict, log10_p, reason, cells, keys, transcript_sha256 }: VerifyReport) => ({
  ...{ verdict, log10_p, reason, cells, keys, transcript_sha256 },
});

describe('a server', () => {
  test('is asked as many keys as it takes, in committed order and no other', async () => {
    const server = await serving(answering(learnt));
    const report = await by(server, { until: 'matches' });
    expect(server.texts().sort()).toEqual(Array.from({ length: SERVER }, (_, i) => `key ${i}\n`));
    expect(report).toMatchObject({
      ...{ verdict: 'matches', exact: true, multiplicity: 4, keys: { from: 0, to: SERVER, of: 8 } },
      sequential: { stopped: 'matches', asked: SERVER, not_counted: 0, looks: 1 },
      endpoint: { queries: SERVER },
    });
  });

  test('budget: undecided; the same command with a larger one goes on, asks nothing twice, and says the same as one call', async () => {
    const server = await serving(answering(learnt));
    const transcript = place();
    const words = [];
    for (const budget of [2, 5, 8]) {
      const report = await by(server, { until: 'matches', budget }, { transcript });
      words.push([report.verdict, report.sequential!.stopped, report.sequential!.looks]);
    }
    expect(words).toEqual([
      ['undecided', 'budget', 1],
      ['undecided', 'budget', 2],
      ['matches', 'matches', 3],
    ]);
    expect(server.texts()).toHaveLength(SERVER);
    const again = await by(server, { until: 'matches' }, { transcript });
    const alone = await by(await serving(answering(learnt)), { until: 'matches' });
    expect(again.sequential!.looks).toBe(4);
    const address = ({ reason, ...rest }: ReturnType<typeof said_>) => ({ ...rest, reason });
    expect(address(said_(again))).toEqual(address(said_(alone)));
    expect(server.texts()).toHaveLength(SERVER);
  });

  test('--max-queries that ends in between is undecided too', async () => {
    const server = await serving(answering(learnt));
    const transcript = place();
    const report = await by(server, {}, { transcript, max_queries: 4, concurrency: 1 });
    expect(report).toMatchObject({ verdict: 'undecided', sequential: { stopped: 'budget', asked: 3 } });
    await expect(by(server, {}, { max_queries: 1 })).rejects.toMatchObject({ code: 'over-budget' });
    expect(await by(server, { until: 'matches' }, { transcript })).toMatchObject({ verdict: 'matches' });
    expect(server.texts()).toHaveLength(SERVER);
  });

  test('the verdict does not depend on the order in which answers come, nor on how many are under way', async () => {
    const half = (text: string) => (/key [1346]/.test(text) ? learnt(text) : 'hm');
    const late = await serving((asked, response) => {
      setTimeout(() => json(response, said(asked, [half(textOf(asked.body))])), 30 * Math.random());
    });
    const one = await by(late, {}, { concurrency: 1 });
    const many = await by(late, {}, { concurrency: 8 });
    expect(said_(many)).toEqual(said_(one));
    expect(one.verdict).toBe('not-verified');
  });

  test('a test of all keys goes on from the same transcript, and costs what it always did', async () => {
    const server = await serving(answering(learnt));
    const transcript = place();
    await by(server, { budget: 3 }, { transcript });
    const { sequential: _, ...all } = await by(server, {}, { transcript }, { sequential: undefined });
    expect(all).toMatchObject({ multiplicity: 2, cells: { 'drawn answer': { hits: 8, of: 8 } } });
    expect(server.texts()).toHaveLength(8);
  });

  test('a key without an answer leaves no verdict, and what was answered is kept', async () => {
    const server = await serving((asked, response) =>
      textOf(asked.body) === 'key 2\n'
        ? json(response, {}, 422)
        : json(response, said(asked, [learnt(textOf(asked.body))])),
    );
    await expect(by(server, {})).rejects.toThrow('have no answer, so there is no verdict');
  });

  test('looks that are counted wrong are refused, and an answer is as much part of the chain as ever', async () => {
    const server = await serving(answering(learnt));
    const transcript = place();
    await by(server, { budget: 2 }, { transcript });
    await by(server, { budget: 3 }, { transcript });
    type Line = { entry: Record<string, unknown>; chain: string };
    const lines = readFileSync(transcript, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as Line).entry);
    const written = (entries: Record<string, unknown>[]): string => {
      let chain = sha256Hex('whorl-endpoint-transcript-v1');
      const path = place();
      const text = entries.map((entry) => {
        chain = sha256Hex(chain, JSON.stringify(entry));
        return `${JSON.stringify({ entry, chain })}\n`;
      });
      writeFileSync(path, text.join(''));
      writeFileSync(`${path}.head`, JSON.stringify({ lines: entries.length, chain }));
      return path;
    };
    expect((await by(server, { budget: 3 }, { transcript: written(lines) })).sequential!.looks).toBe(3);
    const first = lines.findIndex((entry) => entry.look === 1);
    for (const wrong of [
      lines.toSpliced(first, 1),
      lines.with(first, { ...lines[first], look: 7 }),
      lines.with(first, { ...lines[first], more: 1 }),
    ])
      await expect(by(server, {}, { transcript: written(wrong) })).rejects.toMatchObject({
        code: 'mismatch',
      });
  });

  test('what does not go with it is refused before anything is asked', async () => {
    const nobody = { url: 'http://127.0.0.1:9/v1' };
    await expect(by(nobody, {}, {}, { keys: 3 })).rejects.toThrow('--keys');
    for (const budget of [0, -1, 1.5, Number.NaN, '3'])
      await expect(by(nobody, { budget })).rejects.toThrow('--budget');
  });

  test('a certificate opens the keys that count and no other, and is replayed to the same', async () => {
    const alone = join(folder, 'certified');
    cpSync(run.path, alone, { recursive: true });
    const secret = join(alone, 'secret.whorl');
    const certificate = { file: join(alone, 'c.json'), key: join(alone, 'k.pem') };
    const server = await serving(answering(learnt));
    const report = await by(server, { until: 'matches' }, {}, { secret, certificate });
    expect(report).toMatchObject({ verdict: 'matches', keys: { to: SERVER }, certificate: certificate.file });
    const { statement, verdict } = checkCertificate(readFileSync(certificate.file, 'utf8'));
    expect(verdict).toMatchObject({ verdict: 'matches', log10_p: report.log10_p, multiplicity: 4 });
    expect(statement.predicate).toMatchObject({ stopped: { until: 'matches', why: 'matches' } });
    expect(statement.predicate.transcript).toHaveLength(SERVER);
    const opened = statement.predicate.openings.map(({ name }) => name).filter((name) => /^key/.test(name));
    expect(opened).toEqual(Array.from({ length: SERVER }, (_, i) => `key/${i}`));
    expect((await readSecret(secret)).reveal().opened).toMatchObject([{ from: 0, to: SERVER }]);
    if (hasPython) expect(pythonCodes([readFileSync(certificate.file, 'utf8')])).toEqual([4]);
  });
});

describe('the command', () => {
  const verifying = async (suspect: string, ...flags: string[]) => {
    const { code, out, err } = await whorl('verify', '--secret', run.secret, '--suspect', suspect, ...flags);
    return { code, out, err };
  };
  test('headline, sentence, JSON and exit code say the same', async () => {
    const server = await serving(answering(learnt));
    const flags = (...more: string[]) => ['--model-name', 'm', '--transcript', place(), ...more];
    const cases: [string[], number, string, string][] = [
      [['--budget', '2'], 5, 'UNDECIDED', 'undecided'],
      [['--sequential', '--until', 'matches'], 4, "MATCHES (OWNER'S WORD)", 'matches'],
    ];
    for (const [more, code, headline, word] of cases) {
      const shown = await verifying(server.url, ...flags(...more));
      expect([shown.code, shown.out]).toEqual([code, expect.stringContaining(headline)]);
      expect(shown.out).toMatch(/stopped {11}after \d of 8 keys, e = /);
      const told = await verifying(server.url, ...flags(...more, '--json'));
      expect([told.code, JSON.parse(told.out)]).toMatchObject([code, { verdict: word }]);
    }
    // Who runs the command owns the transcript: a reader must know what this call did not ask.
    const twice = flags('--budget', '2');
    const kept = 'answers were given in an earlier call';
    expect((await verifying(server.url, ...twice)).out).not.toContain(kept);
    expect((await verifying(server.url, ...twice)).out).toContain(kept);
  });
  test.each([
    [['--budget', '0'], ': it is not a whole number from 1'],
    [['--budget', '-3'], ': it is not a whole number from 1'],
    [['--budget', '1e3'], ': it is not a whole number from 1'],
    [['--budget', ''], ': it is not a whole number from 1'],
    [['--until', 'stolen'], '--until stolen is not known: one of verified, matches'],
    [['--sequential', '--keys', '3'], '--keys fixes how many keys are asked'],
  ])('%j is named', async (flags, says) => {
    const { code, err } = await verifying('org/name', ...flags);
    expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  });

  test('weights that lie here: answers are kept beside the secret, nothing is asked twice, another suspect has its own', async () => {
    const vanilla = join(folder, 'tiny');
    // The tiny tokenizer's: a token a character.
    const own = (text: string) => [...text].map((character) => character.charCodeAt(0) - 29);
    const here = await finished(join(folder, 'here'), vanilla, bindings, null, {}, own);
    const verifying = async (suspect: string, ...flags: string[]) => {
      const { code, out, err } = await whorl(
        ...['verify', '--secret', here.secret, '--suspect', suspect],
        ...flags,
      );
      return { code, out, err };
    };
    const first = await verifying(vanilla, '--budget', '1', '--json');
    expect([first.code, JSON.parse(first.out)]).toMatchObject([
      5,
      { verdict: 'undecided', multiplicity: 2, sequential: { asked: 1, looks: 1 }, warnings: [] },
    ]);
    const second = await verifying(vanilla, '--sequential', '--json');
    expect([second.code, JSON.parse(second.out)]).toMatchObject([
      3,
      {
        verdict: 'not-verified',
        sequential: { stopped: 'out-of-reach', asked: 8 - HERE + 1, looks: 2, not_counted: HERE - 1 },
      },
    ]);
    const kept = () => readdirSync(join(here.path, 'transcripts')).filter((name) => name.endsWith('.jsonl'));
    const [name] = kept();
    const before = readFileSync(join(here.path, 'transcripts', name!), 'utf8');
    const third = await verifying(vanilla, '--sequential', '--json');
    const answersOf = (text: string) => text.split('\n').filter((line) => line.includes('"place"'));
    expect(answersOf(readFileSync(join(here.path, 'transcripts', name!), 'utf8'))).toEqual(answersOf(before));
    const told = (text: string) => {
      const { seconds: _, warnings, sequential, ...rest } = JSON.parse(text) as VerifyReport;
      expect(warnings.join()).toContain('whoever could write there could write them');
      return { ...rest, sequential: { ...sequential, looks: 0 } };
    };
    expect(told(third.out)).toEqual(told(second.out));
    await verifying(here.published, '--sequential', '--json');
    expect(kept()).toHaveLength(2);
    const now = readFileSync(join(here.path, 'transcripts', name!), 'utf8');
    writeFileSync(join(here.path, 'transcripts', name!), before.replace('"texts":["', '"texts":["word1 '));
    const edited = await verifying(vanilla, '--sequential');
    expect([edited.code, edited.err]).toEqual([1, expect.stringContaining('was changed in line')]);
    writeFileSync(join(here.path, 'transcripts', name!), now);
    const [file, key] = [join(folder, 'here.json'), join(folder, 'here.pem')];
    const certified = await verifying(vanilla, '--sequential', '--certificate', file, '--key', key);
    expect([certified.code, certified.err]).toEqual([3, expect.not.stringContaining('rror')]);
    const { predicate } = checkCertificate(readFileSync(file, 'utf8')).statement;
    expect(predicate).toMatchObject({
      stopped: { why: 'out-of-reach' },
      asked: { from: 0, to: 8 - HERE + 1 },
    });
    // Kept from an earlier call, as texts.
    expect(predicate.transcript.map(({ answer_tokens }) => answer_tokens)).toEqual([null, null, null]);
    expect(predicate.transcript[0]!.prompt_tokens).not.toEqual([]);
  }, 300_000);
});
