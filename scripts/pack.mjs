// Puts ONNX Runtime's binding into dist/engine, as `npm pack` and `npm publish` send it: `node scripts/pack.mjs`
// (prepack). The package of that name runs an install script that needs a host beside the registry; ours runs none.
import { constants, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'dist', 'engine', 'onnxruntime-node');
rmSync(join(root, 'dist', 'engine'), { recursive: true, force: true });
// postpack: a clone uses its own node_modules, and the copy is large
if (process.argv.includes('--remove')) process.exit(0);

const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
const from = dirname(manifest);
const { name, version, license, main, types, dependencies } = JSON.parse(readFileSync(manifest, 'utf8'));
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
if (own.dependencies['onnxruntime-common'] !== dependencies['onnxruntime-common'])
  throw new Error(
    `package.json wants onnxruntime-common ${own.dependencies['onnxruntime-common']}, onnxruntime-node ${dependencies['onnxruntime-common']}`,
  );

// macOS loads libonnxruntime.1.dylib (its binding's load command); the file with the full version is the same again.
// CUDA's provider, where this machine's install fetched it, is larger than a registry takes.
const LEFT_OUT = /\.\d+\.\d+\.\d+\.dylib$|_providers_(?:cuda|tensorrt|shared)\.|\.map$/;
const wanted = (path) => {
  const parts = relative(from, path).split(sep);
  return parts[0] === '' || ((parts[0] === 'dist' || parts[0] === 'bin') && !LEFT_OUT.test(path));
};
mkdirSync(target, { recursive: true });
cpSync(from, target, { recursive: true, filter: wanted, mode: constants.COPYFILE_FICLONE });
writeFileSync(
  join(target, 'package.json'),
  `${JSON.stringify({ name, version, license, main, types }, null, 2)}\n`,
);
