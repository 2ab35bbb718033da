// `tsx bench/mutants.ts [--count 10000] [--seed 2026] [--kind rows]`: COUNT one-bit and COUNT structural mutants of certificates
// of each kind; our checker and examples/check.py must refuse every one. Prints a line a kind, and each mutant that was accepted.

import { parseArgs } from 'node:util';
import { seeded } from '../test/claim/plans.ts';
import { CERTIFICATE_KINDS, KEYS } from '../test/verify/certificate/made.ts';
import { flipped, oursRefuses, structural } from '../test/verify/certificate/mutants.ts';
import { pythonCodes } from '../test/verify/certificate/python.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '2026' },
    kind: { type: 'string', multiple: true, default: Object.keys(CERTIFICATE_KINDS) },
  },
});
const count = Number(values.count);
const random = seeded(Number(values.seed));
const BATCH = 500;

for (const kind of values.kind) {
  const make = CERTIFICATE_KINDS[kind];
  if (!make) throw new Error(`no kind "${kind}": ${Object.keys(CERTIFICATE_KINDS).join(', ')}`);
  let [ours, theirs] = [0, 0];
  for (let done = 0; done < count; done += BATCH) {
    const { statement, text } = make();
    const batch = Array.from({ length: Math.min(BATCH, count - done) }, () => [
      { what: 'a bit', text: flipped(text, random) },
      structural(statement, KEYS.ed25519, random),
    ]).flat();
    const codes = pythonCodes(batch.map((mutant) => mutant.text));
    process.stderr.write(`${kind}: ${Math.min(done + BATCH, count)} of ${count}\n`);
    batch.forEach(({ what, text: mutant }, i) => {
      const [we, they] = [oursRefuses(mutant), codes[i] === 1];
      if (we) ours++;
      if (they) theirs++;
      if (!we || !they)
        console.error(`${kind}: ${we ? '' : 'we accept '}${they ? '' : 'python accepts '}${what}`);
    });
  }
  console.log(
    JSON.stringify({ kind, mutants: 2 * count, refused_by_check: ours, refused_by_python: theirs }),
  );
  if (ours !== 2 * count || theirs !== 2 * count) process.exitCode = 1;
}
