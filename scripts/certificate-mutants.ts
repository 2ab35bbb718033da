// `tsx scripts/certificate-mutants.ts [COUNT]`: COUNT one-bit and COUNT structural mutants of a certificate (10,000 each by
// default); our checker and examples/check.py must refuse every one. Prints one line, and each that was accepted.

import { checkCertificate } from '../src/verify/certificate/check.ts';
import { seeded } from '../test/claim/plans.ts';
import { KEYS, made, small } from '../test/verify/certificate/made.ts';
import { flipped, structural } from '../test/verify/certificate/mutants.ts';
import { pythonCodes } from '../test/verify/certificate/python.ts';

const count = Number(process.argv[2] ?? 10_000);
const random = seeded(2026);
const BATCH = 500;

const refused = (text: string): boolean => {
  try {
    checkCertificate(text);
    return false;
  } catch (error) {
    if ((error as Error).name !== 'WhorlError') throw error;
    return true;
  }
};

let [ours, theirs] = [0, 0];
for (let done = 0; done < count; done += BATCH) {
  const { statement, text } = made({ plan: small() });
  const batch = Array.from({ length: Math.min(BATCH, count - done) }, () => [
    { what: 'a bit', text: flipped(text, random) },
    structural(statement, KEYS.ed25519, random),
  ]).flat();
  const codes = pythonCodes(batch.map((mutant) => mutant.text));
  batch.forEach(({ what, text: mutant }, i) => {
    const [we, they] = [refused(mutant), codes[i] === 1];
    if (we) ours++;
    if (they) theirs++;
    if (!we || !they) console.log(`${we ? '' : 'we accept '}${they ? '' : 'python accepts '}${what}`);
  });
}
console.log(`${2 * count} mutants: ${ours} refused by whorl check, ${theirs} by examples/check.py`);
if (ours !== 2 * count || theirs !== 2 * count) process.exitCode = 1;
