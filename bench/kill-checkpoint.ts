// Kills a process that writes checkpoints and safetensors with SIGKILL at random moments; after each kill the file that
// stands there must be one step, whole, and no older than the last.   npx tsx bench/kill-checkpoint.ts [--kills 50] [--seed 1]

import { parseArgs } from 'node:util';
import { killCheckpoints } from '../test/train/checkpoint-killing.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' } },
});
const result = await killCheckpoints({ kills: Number(values.kills), seed: values.seed });
console.log(JSON.stringify(result));
process.exitCode = result.faults.length > 0 ? 1 : 0;
