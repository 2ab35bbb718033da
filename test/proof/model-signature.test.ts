// Model signatures: those of PyPI's model-signing (goldens/model-signing) hold here, ours hold there (WHORL_OMS_PYTHON names a
// Python that has it), and no changed folder, signature or key is accepted.

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkModelSignature, signModel } from '../../src/proof/model-signature.ts';
import { whorl } from '../cli/whorl.ts';

const GOLDENS = new URL('../../goldens/model-signing/', import.meta.url).pathname;
const golden = JSON.parse(readFileSync(join(GOLDENS, 'golden.json'), 'utf8')) as {
  files: Readonly<Record<string, string>>;
  signed: Readonly<Record<string, { public_key: string; signature: string }>>;
};
const scratch = mkdtempSync(join(tmpdir(), 'whorl-oms-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const python = process.env.WHORL_OMS_PYTHON;

let count = 0;
function folder(change: Readonly<Record<string, string | null>> = {}): string {
  const path = join(scratch, `model-${count++}`);
  for (const [name, text] of Object.entries({ ...golden.files, ...change })) {
    if (text === null) continue;
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}
function written(name: string, text: string): string {
  const path = join(scratch, `${count++}-${name}`);
  writeFileSync(path, text);
  return path;
}
const pem = (kind: 'P-256' | 'ed25519'): string => {
  const { privateKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
};

describe.each(Object.entries(golden.signed))(
  '%s, signed by model-signing',
  (_, { public_key, signature }) => {
    const [key, file] = [written('key.pub', public_key), written('model.sig', signature)];
    const check = (change: Readonly<Record<string, string | null>> = {}) =>
      checkModelSignature({ model: folder(change), key, signature: file });

    test('holds, whatever lies in the files that are not signed', async () => {
      const { files } = await check({ '.gitattributes': 'other', '.git/HEAD': 'x' });
      const { payload } = (JSON.parse(signature) as { dsseEnvelope: { payload: string } }).dsseEnvelope;
      const { predicate } = JSON.parse(Buffer.from(payload, 'base64').toString('utf8')) as {
        predicate: { resources: { name: string }[] };
      };
      expect(files).toEqual(predicate.resources.map(({ name }) => name)); // in their order, which the digest hangs on
    });

    test.each([
      ['a changed file', { 'config.json': '{ }\n' }, /has another config.json than was signed/],
      ['an empty file that is not', { empty: ' ' }, /has another empty than was signed/],
      ['a missing file', { 'original/params.json': null }, /has no original\/params.json, which was signed/],
      ['an extra file', { 'tokenizer.json': '{}' }, /has tokenizer.json, which was not signed/],
    ])('%s is named', async (_name, change, message) => {
      await expect(check(change)).rejects.toThrow(message);
    });

    test('another key, another statement', async () => {
      const other = written('other.pem', pem('P-256'));
      await expect(checkModelSignature({ model: folder(), key: other, signature: file })).rejects.toThrow(
        /was not signed by this key/,
      );
      const bundle = JSON.parse(signature) as { dsseEnvelope: { payload: string } };
      const payload = Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8');
      bundle.dsseEnvelope.payload = Buffer.from(payload.replace('config.json', 'confih.json')).toString(
        'base64',
      );
      const edited = written('edited.sig', JSON.stringify(bundle));
      await expect(checkModelSignature({ model: folder(), key, signature: edited })).rejects.toThrow(
        /was not signed by this key/,
      );
    });
  },
);

describe('ours', () => {
  test('holds here and in model-signing; the key is made, and is refused where it is of another kind', async () => {
    const [model, key] = [folder(), join(scratch, 'made.pem')];
    const made = await signModel({ model, key });
    expect(made.files).toHaveLength(Object.keys(golden.files).length - 1);
    expect(await checkModelSignature({ model, key: `${key}.pub` })).toEqual(made);
    expect(await signModel({ model, key })).toMatchObject({
      digest: made.digest,
      key_sha256: made.key_sha256,
    });
    if (python !== undefined)
      execFileSync(python, [
        join(GOLDENS, 'make.py'),
        '--verify',
        model,
        join(model, 'model.sig'),
        `${key}.pub`,
      ]);
    await expect(signModel({ model, key: written('ed.pem', pem('ed25519')) })).rejects.toThrow(
      /is no EC key/,
    );
  });

  test('a file that no key and no signature can be is refused before it is read', async () => {
    const huge = written('huge', '');
    truncateSync(huge, 2 ** 33); // a hole: no byte of it is written
    await expect(signModel({ model: folder(), key: huge })).rejects.toThrow(/is no file of at most/);
  });

  test('a signature in the folder is not signed itself, whatever its name', async () => {
    const [model, key] = [folder(), written('dots.pem', pem('P-256'))];
    const signature = join(model, '..sig');
    const made = await signModel({ model, key, signature });
    expect(await checkModelSignature({ model, key, signature })).toEqual(made);
  });

  test('a link is refused, and so is what is no signature', async () => {
    const model = folder();
    const key = written('own.pem', pem('P-256'));
    const broken = written('broken.sig', '{"mediaType":1}');
    await expect(checkModelSignature({ model, key, signature: broken })).rejects.toThrow(
      /no model signature .*mediaType/,
    );
    symlinkSync('config.json', join(model, 'link.json'));
    await expect(signModel({ model, key })).rejects.toThrow(/is a link or no file/);
    await expect(checkModelSignature({ model: folder(), key })).rejects.toThrow(/model.sig does not exist/);
  });

  test('whorl sign, and --check with its exit code', async () => {
    const [model, key] = [folder(), join(scratch, 'cli.pem')];
    expect((await whorl('sign', model, '--key', key)).out).toMatch(/^signed {2}6 files/);
    expect(await whorl('sign', model, '--key', `${key}.pub`, '--check')).toMatchObject({ code: 0 });
    writeFileSync(join(model, 'config.json'), '[]');
    const { code, err } = await whorl('sign', model, '--key', `${key}.pub`, '--check');
    expect([code, err]).toEqual([1, expect.stringMatching(/another config.json/)]);
  });
});
