// The cache folder we make is the one that Python's huggingface_hub made of the same repository (goldens/hub/make.py).

import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import golden from '../../../goldens/hub/layout.json' with { type: 'json' };
import { parseHubId } from '../../../src/sources/hub/hub-id.ts';
import { fetchModel } from '../../../src/sources/hub/model-files.ts';
import { FakeHub, filesOf, sha256 } from './server.ts';
import { settingsFor } from './settings.ts';

test('every name, link and byte of the folder is as in Python', async () => {
  const model = new URL('../../../goldens/models/llama-sharded/', import.meta.url).pathname;
  const files = Object.entries(filesOf(model)).filter(([name]) => !name.startsWith('golden.'));
  const more = {
    'tokenizer.json': '{"version":"1.0"}',
    'README.md': '# tiny\n',
    'pytorch_model.bin': 'never opened',
  };
  const hub = await FakeHub.start({
    ...Object.fromEntries(files),
    ...Object.fromEntries(Object.entries(more).map(([name, text]) => [name, Buffer.from(text)])),
  });
  hub.commit = golden.commit;
  const settings = settingsFor(hub);
  for (const revision of ['main', 'refs/pr/1'])
    await fetchModel(parseHubId(`org/tiny@${revision}`)!, { settings });
  await hub.stop();
  expect(layout(join(settings.cache, 'models--org--tiny'))).toEqual(golden.entries);
});

function layout(root: string, folder = root): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = lstatSync(path);
    if (stats.isDirectory()) Object.assign(out, layout(root, path));
    else
      out[relative(root, path)] = stats.isSymbolicLink()
        ? { link: readlinkSync(path) }
        : { sha256: sha256(readFileSync(path)) };
  }
  return out;
}
