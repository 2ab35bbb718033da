// Kills downloads of a model with SIGKILL at random moments; after each the cache must hold the old model or the new one,
// every byte compared, and the next process goes on.   npx tsx bench/kill-download.ts [--kills 50] [--seed 1]

import { parseArgs } from 'node:util';
import { killDownloads } from '../test/sources/hub/killing.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' } },
});
const result = await killDownloads({
  kills: Number(values.kills),
  seed: values.seed,
  onKill: (line) => console.log(line),
});
console.log(JSON.stringify(result));
process.exitCode = result.faults.length > 0 ? 1 : 0;
