// A job that asks, run here by transformers, against our own greedy decoding. Needs a Python with what
// assets/launch/requirements.txt names:   npx tsx bench/ask.ts --python PYTHON [--model FOLDER]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../src/base/package-root.ts';
import { askByJob } from '../src/launch/ask-job.ts';
import { generateAll } from '../src/lm/ask.ts';
import { asking } from '../src/lm/open.ts';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    model: { type: 'string', default: join(packageRoot(), 'assets/embedded/model') },
  },
});
const words = ['Once', 'Once upon', 'The old house', 'A', 'It was in the garden that', 'She said: yes'];
const requests = Array.from({ length: 40 }, (_, i) => ({
  prompt: `${words[i % words.length]!} ${'and so '.repeat(i % 7)}`.trim(),
  max_new_tokens: 4 + (i % 3) * 6,
}));
const scratch = mkdtempSync(join(tmpdir(), 'whorl-bench-ask-'));
try {
  const { model, python } = values;
  const there = await askByJob({ model, requests, job: join(scratch, 'job'), here: true, python });
  const own = await asking({ kind: 'model', model }, {}, (asked) => generateAll(asked, requests));
  if (!Array.isArray(there)) throw new Error('the job waits');
  const same = there.filter((one, i) => JSON.stringify(one) === JSON.stringify(own[i])).length;
  process.stdout.write(`${JSON.stringify({ what: 'answers as our own', same, of: own.length })}\n`);
  process.exitCode = same === own.length ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
