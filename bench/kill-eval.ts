// Kills `whorl eval` with SIGKILL at random moments on the embedded model, calls it again each time, and compares every file
// with those of an evaluation in one go.
//   npx tsx bench/kill-eval.ts [--kills 20] [--seed 1] [--rows 600]   (after npm run build)

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../src/base/package-root.ts';
import { type Killed, killedEvaluations } from '../test/evaluate/killing.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    rows: { type: 'string', default: '600' },
  },
});
const program = [process.execPath, join(packageRoot(), 'dist/cli.js')];
const all: Killed[] = [];
for await (const each of killedEvaluations(program, Number(values.kills), values.seed, Number(values.rows))) {
  all.push(each);
  console.error(
    `killed after ${each.at} ms: ${each.kept} answers kept, ${each.same ? 'same bytes' : 'OTHER BYTES'}`,
  );
}
const count = (is: (each: Killed) => boolean): number => all.filter(is).length;
console.log(
  JSON.stringify({
    kills: all.length,
    with_answers_kept: count(({ kept }) => kept > 0),
    same_bytes: count(({ same }) => same),
  }),
);
process.exitCode = all.every(({ same }) => same) ? 0 : 1;
