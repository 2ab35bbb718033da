// Writes docs/errors.md from the codes of src/base/error.ts. Whole messages would be outdated daily; codes are a promise.
// usage: node scripts/errors.mjs [--check]; with --check nothing is written, and an outdated page fails.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const PAGE = join(ROOT, 'docs', 'errors.md');

const union = /export type ErrorCode =([\s\S]*?)\n\n/.exec(
  readFileSync(join(ROOT, 'src/base/error.ts'), 'utf8'),
)?.[1];
const codes = [...(union ?? '').matchAll(/\|\s*'([a-z-]+)';?\s*(?:\/\/\s*(.*))?/g)].map(
  ([, code, meaning]) => ({
    code,
    meaning: meaning?.trim() ?? '',
  }),
);

/** Codes that some code throws. */
const thrown = new Set();
for (const file of readdirSync(join(ROOT, 'src'), { recursive: true }))
  if (file.endsWith('.ts') && file !== join('base', 'error.ts')) {
    const text = readFileSync(join(ROOT, 'src', file), 'utf8');
    for (const { code } of codes) if (text.includes(`'${code}'`)) thrown.add(code);
  }

const problems = codes.flatMap(({ code, meaning }) => [
  ...(meaning === '' ? [`${code} has no meaning beside it in src/base/error.ts`] : []),
  ...(thrown.has(code) ? [] : [`${code} is thrown nowhere`]),
]);
if (codes.length === 0) problems.push('src/base/error.ts: no codes found');
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}

const page = `# Errors

Made by \`npm run errors\` from \`src/base/error.ts\`; \`npm run check\` fails when it is out of date.

Whorl fails with one line on stderr, \`error: WHAT IS WRONG AND WHERE: WHAT TO DO\`. The library throws a \`WhorlError\`
with the \`code\` below, the same line as \`message\`, and what to do once more as \`fix\`. \`WHORL_DEBUG=1\` adds where the
error came from.

| code | exit code | meaning |
|---|---|---|
${codes
  .map(
    ({ code, meaning }) =>
      `| \`${code}\` | ${code === 'usage' ? 2 : 1} | ${meaning.replaceAll('|', '\\|')} |`,
  )
  .join('\n')}

A verdict that is not in the owner's favour is no error: \`whorl verify\` then ends with exit code 3. Ctrl-C ends any
command with 130. A line that begins \`whorl: internal:\` is a bug of Whorl's.
`;

if (!process.argv.includes('--check')) writeFileSync(PAGE, page);
else if (!existsSync(PAGE) || readFileSync(PAGE, 'utf8') !== page) {
  console.error('docs/errors.md is out of date: npm run errors');
  process.exit(1);
}
