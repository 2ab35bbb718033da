// A model out of the hub cache: a folder of links that opens, scores, writes and is published as the folder it came from.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../../src/cli/program.ts';
import { LocalModel } from '../../../src/lm/local-model.ts';
import { modelName } from '../../../src/models/model.ts';
import { openModel, openModelFolder } from '../../../src/models/open-model.ts';
import { openCheckpoint, weightsFolder } from '../../../src/sources/checkpoints/checkpoint.ts';
import { writePatchedFolder } from '../../../src/sources/checkpoints/patched-folder.ts';
import { tinyModel } from '../../cli/tiny-model.ts';
import { COMMIT, FakeHub, filesOf, TOKEN } from './server.ts';
import { scratch } from './settings.ts';

const root = scratch();
const folder = tinyModel(root);
const sharded = join(root, 'sharded');
const goldens = new URL('../../../goldens/', import.meta.url).pathname;
const gguf = 'tied-gqa-q4_1.gguf';
const before = { ...process.env };

let hub: FakeHub;
beforeAll(async () => {
  mkdirSync(sharded);
  for (const [name, bytes] of Object.entries(filesOf(join(goldens, 'models/llama-sharded'))))
    if (!name.startsWith('golden')) writeFileSync(join(sharded, name), bytes);
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    writeFileSync(join(sharded, name), readFileSync(join(folder, name)));
  hub = await FakeHub.start(filesOf(folder));
  Object.assign(process.env, {
    HF_ENDPOINT: hub.endpoint,
    HF_HOME: join(root, 'home'),
    HF_TOKEN: TOKEN,
    WHORL_CACHE: root,
  });
  for (const name of [
    'HF_HUB_CACHE',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'http_proxy',
    'https_proxy',
    'HF_HUB_OFFLINE',
  ])
    delete process.env[name];
});
afterAll(async () => {
  process.env = before;
  await hub.stop();
});

test('a family that Whorl cannot run is refused by its config, before any weights', async () => {
  const files = filesOf(folder);
  const config = JSON.parse(files['config.json']!.toString()) as object;
  await serve(
    { ...files, 'config.json': Buffer.from(JSON.stringify({ ...config, model_type: 'mamba' })) },
    'who/other',
  );
  await expect(openModel('who/other')).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('mamba') as string,
  });
  const cached = readdirSync(join(root, 'home'), { recursive: true }).map(String);
  expect(cached.filter((path) => path.includes('who--other') && path.endsWith('.safetensors'))).toEqual([]);
  // What needs no family (merging, inspecting) takes it all the same.
  expect((await openModelFolder('who/other', { anyFamily: true })).config.model_type).toBe('mamba');
});

async function serve(files: Record<string, Buffer>, repo: string): Promise<void> {
  hub.files.clear();
  hub.repo = repo;
  for (const [name, bytes] of Object.entries(files)) hub.put(name, bytes);
}

async function answers(name: string): Promise<unknown> {
  const model = await LocalModel.open(await openModel(name));
  try {
    const out: unknown[] = [];
    for await (const { score } of model.score([{ context: 'ab', continuation: 'cde' }])) out.push(score);
    for await (const { generation } of model.generate([{ prompt: 'hello', max_new_tokens: 8 }]))
      out.push(generation.generated);
    return out;
  } finally {
    await model.release();
  }
}

describe('by hub id', () => {
  test('a single file and shards score and write the same as the folder itself', async () => {
    await serve(filesOf(folder), 'org/tiny');
    expect(await answers('org/tiny')).toEqual(await answers(folder));
    await serve(filesOf(sharded), 'org/sharded');
    const opened = await openModel('org/sharded');
    expect(opened.source).toBe(`org/sharded@${COMMIT}`);
    expect(modelName(opened)).toBe('sharded');
    expect(new Set([...opened.tensors.values()].map(({ file }) => file)).size).toBeGreaterThan(1);
    expect(weightsFolder(opened)).toBe(join(root, 'home/hub/models--org--sharded/blobs'));
    expect(await answers('org/sharded')).toEqual(await answers(sharded));
  });

  test('is published as plain files, byte for byte', async () => {
    await serve(filesOf(sharded), 'org/sharded');
    const out = join(root, 'published');
    await writePatchedFolder(await openModel('org/sharded'), out, new Map());
    expect(filesOf(out)).toEqual(filesOf(sharded));
    expect(readdirSync(out, { withFileTypes: true }).every((entry) => entry.isFile())).toBe(true);
  });

  test('a GGUF by its name in the repository', async () => {
    await serve(
      { [gguf]: readFileSync(join(goldens, 'gguf', gguf)), 'b.gguf': Buffer.from('GGUF') },
      'org/quantised',
    );
    const opened = await openModel(`org/quantised:${gguf}`);
    expect(opened.source).toBe(`org/quantised@${COMMIT}:${gguf}`);
    expect([...opened.tensors.keys()]).toEqual([
      ...(await openModel(join(goldens, 'gguf', gguf))).tensors.keys(),
    ]);
  });

  test('a path that exists goes first', async () => {
    const here = process.cwd();
    process.chdir(root);
    try {
      mkdirSync('org', { recursive: true });
      renameSync(join(root, 'sharded'), join(root, 'org/tiny'));
      hub.asked.length = 0;
      expect((await openModel('org/tiny')).source).toBe(join(process.cwd(), 'org/tiny'));
      expect(hub.asked).toEqual([]);
    } finally {
      renameSync(join(root, 'org/tiny'), join(root, 'sharded'));
      process.chdir(here);
    }
  });
});

test('blobs that newer Python clients share between repositories are followed, others are not', async () => {
  await serve(filesOf(folder), 'org/tiny');
  const opened = await openModel('org/tiny');
  const hubCache = join(root, 'home/hub');
  const blob = [...opened.tensors.values()][0]!.file;
  const stored = join(hubCache, 'blobs/ab', 'c'.repeat(64));
  mkdirSync(join(hubCache, 'blobs/ab'), { recursive: true });
  renameSync(blob, stored);
  symlinkSync(`../../blobs/ab/${'c'.repeat(64)}`, blob);
  expect(() => openCheckpoint(opened.folder)).toThrow(/is a link/);
  writeFileSync(join(hubCache, 'blobs/.huggingface-shared-blobs'), '1\n');
  const again = openCheckpoint(opened.folder);
  expect([...again.tensors.values()][0]!.file).toBe(stored);
  expect(weightsFolder(again)).toBe(join(hubCache, 'blobs/ab'));
  expect(await answers('org/tiny')).toEqual(await answers(folder));
  rmSync(join(hubCache, 'blobs'), { recursive: true });
  renameSync(join(hubCache, 'models--org--tiny'), join(root, 'broken'));
});

describe('whorl', () => {
  /** Runs a command line in this process. */
  async function whorl(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const [stdout, stderr] = [process.stdout.write, process.stderr.write];
    let [out, err] = ['', ''];
    process.stdout.write = ((text: string) => (out += text) !== '') as typeof stdout;
    process.stderr.write = ((text: string) => (err += text) !== '') as typeof stderr;
    try {
      return { code: await run(args), out, err };
    } finally {
      [process.stdout.write, process.stderr.write] = [stdout, stderr];
    }
  }
  const errorLine = (err: string): string =>
    err
      .split('\n')
      .filter((line) => line.startsWith('error: '))
      .join('|');

  test('score, generate, inspect and doctor take a hub id', async () => {
    await serve(filesOf(folder), 'org/tiny');
    const model = ['--model', 'org/tiny'];
    const score = await whorl('score', ...model, '--context', 'ab', '--continuation', 'c', '--json');
    expect(score).toMatchObject({ code: 0 });
    expect(JSON.parse(score.out)).toMatchObject({ tokens: 1 });
    const generated = await whorl('generate', ...model, '--prompt', 'ab', '--max-new-tokens', '3', '--json');
    expect(generated).toMatchObject({ code: 0 });
    const report = await whorl('inspect', `org/tiny@${COMMIT}`, '--json');
    expect(JSON.parse(report.out)).toMatchObject({ kind: 'model-folder' });
    const doctor = await whorl('doctor', ...model, '--json');
    expect(JSON.parse(doctor.out)).toMatchObject({ model: { source: `org/tiny@${COMMIT}` } });
  });

  test.each([
    [
      401,
      /^error: org\/none: 127\.0\.0\.1:\d+ refuses the token: check HF_TOKEN and whether it may read this$/,
    ],
    [
      404,
      /^error: org\/none is not on 127\.0\.0\.1:\d+ \(404\): check the name, or give a file or folder that exists$/,
    ],
    [
      200,
      /^error: org\/none: 127\.0\.0\.1:\d+ answers with a web page where JSON belongs: check HF_ENDPOINT, .*$/,
    ],
    [500, /^error: org\/none: 127\.0\.0\.1:\d+ fails \(500\): try again later$/],
  ])('%i is one line and exit code 1', async (status, line) => {
    hub.mischief = (_, response) =>
      response.writeHead(status, { 'content-type': 'text/html' }).end(`<h1>${TOKEN}</h1>`) !== undefined;
    const { code, out, err } = await whorl('score', '--model', 'org/none', '--continuation', 'c');
    hub.mischief = () => false;
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(errorLine(err)).toMatch(line);
    expect(err).not.toContain(TOKEN);
  });

  test('a name that is neither path nor hub id, and one that is not in the cache when offline', async () => {
    expect(errorLine((await whorl('score', '--model', './nowhere', '--continuation', 'c')).err)).toBe(
      'error: ./nowhere does not exist: give a model folder, a .gguf file, or a hub id (org/name)',
    );
    process.env.HF_HUB_OFFLINE = '1';
    const offline = await whorl('generate', '--model', 'org/other', '--prompt', 'a');
    delete process.env.HF_HUB_OFFLINE;
    expect(errorLine(offline.err)).toBe(
      'error: org/other is not in the hub cache, whole: unset HF_HUB_OFFLINE to fetch it',
    );
    expect(existsSync(join(root, 'home/hub/models--org--other'))).toBe(false);
  });
});
