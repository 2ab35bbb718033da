// Lines a folder: npm run size
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const SUFFIXES = ['.ts', '.mts', '.mjs', '.py'];
const folders = new Map();
for (const top of ['src', 'test', 'bench', 'scripts', 'goldens', 'examples']) {
  let names;
  try {
    names = readdirSync(join(root, top), { recursive: true, encoding: 'utf8' });
  } catch {
    continue;
  }
  for (const name of names) {
    if (name.includes('node_modules') || !SUFFIXES.some((suffix) => name.endsWith(suffix))) continue;
    const path = relative('.', join(top, name));
    const folder = path.split(/[\\/]/).slice(0, 2).join('/');
    const key = SUFFIXES.some((suffix) => folder.endsWith(suffix)) ? top : folder;
    const lines = readFileSync(join(root, path), 'utf8').split('\n').length - 1;
    const entry = folders.get(key) ?? { files: 0, lines: 0, longest: 0, name: '' };
    entry.files++;
    entry.lines += lines;
    if (lines > entry.longest) [entry.longest, entry.name] = [lines, path];
    folders.set(key, entry);
  }
}
const width = Math.max(...[...folders.keys()].map((key) => key.length));
let [files, lines] = [0, 0];
for (const [key, entry] of [...folders].sort(([a], [b]) => (a < b ? -1 : 1))) {
  files += entry.files;
  lines += entry.lines;
  console.log(
    `${key.padEnd(width)}  ${String(entry.files).padStart(4)} files  ${String(entry.lines).padStart(6)} lines  longest ${entry.longest} (${entry.name})`,
  );
}
console.log(`${'all'.padEnd(width)}  ${String(files).padStart(4)} files  ${String(lines).padStart(6)} lines`);
