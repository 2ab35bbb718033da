// What a newcomer's machine does: variables that name nothing, places that are in the way, files of another kind, names that no
// terminal should be given. One line each, with the mend; nothing of a secret in it.

import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { askForJson } from '../../src/proof/ask.ts';
import { scratch, tinyModel } from './tiny-model.ts';
import { whorl } from './whorl.ts';

let folder: string;
let model: string;
beforeAll(() => {
  folder = scratch();
  model = tinyModel(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const PROXIES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'];
function proxied(name: string, value: string): void {
  for (const one of PROXIES) {
    vi.stubEnv(one, '');
    vi.stubEnv(one.toUpperCase(), '');
  }
  vi.stubEnv(name, value);
}

const lastLine = (text: string): string | undefined => text.trimEnd().split('\n').at(-1);

test.each([
  ['HTTPS_PROXY', '::::'],
  ['https_proxy', 'user:hunter2@proxy'],
  ['HTTP_PROXY', 'ftp://user:hunter2@proxy'],
  ['ALL_PROXY', 'not an address, hunter2'],
])('%s=%s is no proxy, said by its name alone', async (name, value) => {
  proxied(name, value);
  vi.stubEnv('HF_HOME', join(folder, 'hub'));
  const { code, out, err } = await whorl('generate', '--model', 'nobody/at-all', '--prompt', 'a');
  const says = `${name} is no address of a proxy: write http://HOST:PORT (or https://, socks5://), or unset it`;
  expect({ code, out, last: lastLine(err) }).toEqual({ code: 2, out: '', last: `error: ${says}` });
  expect(err).not.toContain('hunter2');
  await expect(askForJson('https://dice.example/')).rejects.toThrow(says);
});

test('a proxy that is silent is named by its variable, without its password', async () => {
  proxied('HTTPS_PROXY', 'http://user:hunter2@127.0.0.1:9');
  vi.stubEnv('HF_HOME', join(folder, 'hub'));
  vi.stubEnv('HF_ENDPOINT', 'https://hub.example');
  const { code, err } = await whorl('generate', '--model', 'nobody/at-all', '--prompt', 'a');
  expect(code).toBe(1);
  expect(lastLine(err)).toContain('the proxy that HTTPS_PROXY names');
  expect(err).not.toContain('hunter2');
});

test('a run may not lie in its model’s folder, which is uploaded: by a link neither', async () => {
  const link = join(folder, 'link');
  symlinkSync(model, link);
  for (const out of [join(model, 'run'), join(model, 'a', '..', 'b', 'run'), join(link, 'run')])
    for (const command of ['fingerprint', 'commit']) {
      const { code, err } = await whorl(command, '--model', model, '--out', out);
      expect(code).toBe(1);
      expect(lastLine(err)).toContain("lies in the model's own folder");
      expect(lastLine(err)).toContain('--out');
      expect(existsSync(out)).toBe(false);
    }
  // Beside it, under a name that begins as its own does, it may.
  const { err } = await whorl('fingerprint', '--model', model, '--out', `${model}-run`, '--dry-run');
  expect(err).not.toContain('own folder');
});

test('names are written out: none colours, clears or breaks the line', async () => {
  const { err } = await whorl('generate', '--model', join(folder, 'a\u001b[2Jb\rc'), '--prompt', 'a');
  expect(err).toContain('a\\u001b[2Jb\\u000dc');
  const strange = join(folder, 'of\u001b[31m\nlines');
  cpSync(model, strange, { recursive: true });
  const done = await whorl('generate', '--model', strange, '--prompt', 'a', '--max-new-tokens', '1');
  expect(done.code).toBe(0);
  expect(done.err).toContain('of\\u001b[31m\\u000alines');
  for (const text of [err, done.err]) for (const raw of ['\u001b', '\r']) expect(text).not.toContain(raw);
});

test('a cache that is a file is told by its variable', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, 'x');
  vi.stubEnv('WHORL_CACHE', file);
  const { code, err } = await whorl(
    'generate',
    '--model',
    'goldens/gguf/untied-mha-f16.gguf',
    '--prompt',
    'a',
  );
  expect(code).toBe(1);
  expect(lastLine(err)).toMatch(
    /a part of the path is a file: name another folder for the cache in WHORL_CACHE$/,
  );
});

test('files of another kind: what is wanted is said', async () => {
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  const png = join(folder, 'x.png');
  writeFileSync(png, '\x89PNG\r\n\x1a\n', 'latin1');
  const secret = 'goldens/claims/v1-answers/secret.whorl';
  const other = 'goldens/claims/v1-membership/claim.json';
  const LINES: readonly (readonly [string[], number, string])[] = [
    [
      ['verify', '--secret', empty, '--suspect', model],
      1,
      `${empty} is not a file: give the path of secret.whorl`,
    ],
    [
      ['import', png, '--out', join(folder, 'i')],
      1,
      `${png} does not begin as a zip archive: give a file that torch.save wrote`,
    ],
    [['check', png], 1, `${png}: the file is no certificate: give what whorl verify --certificate wrote`],
    [
      ['verify', '--secret', secret, '--claim', other, '--suspect', model],
      1,
      `${other} does not belong to this secret: use the secret and claim of one run`,
    ],
    [
      ['score', '--model', model, '--continuation', ''],
      2,
      '--continuation is empty: give it at least one token',
    ],
    [
      ['inspect', 'a'.repeat(3000)],
      1,
      `${'a'.repeat(200)}…${'a'.repeat(200)} (3000 characters) is longer than the file system allows: give a shorter name`,
    ],
    [['prove', empty], 2, 'no way to a time stamp is given: give one of --response, --tsa, --request'],
  ];
  for (const [args, expected, says] of LINES) {
    const { code, out, err } = await whorl(...args);
    expect({ code, out, last: lastLine(err) }).toEqual({ code: expected, out: '', last: `error: ${says}` });
  }
});
