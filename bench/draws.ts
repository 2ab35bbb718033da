// Complete runs on the embedded model or --model, a draw each: p of vanilla (under the adapter, where there is one) must be
// super-uniform, p of the published model at its floor. Run: npx tsx bench/draws.ts --method rows|adapter [--model MODEL] [--runs 20] [--first 0] [--decryption WORD] [key=value …]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../src/base/package-root.ts';
import { fingerprint } from '../src/fingerprint/fingerprint.ts';
import { LocalModel } from '../src/lm/local-model.ts';
import { wrapperNamed } from '../src/text/prompts/wrappers.ts';
import { decide } from '../src/verify/verdict.ts';
import { verify } from '../src/verify/verify.ts';
import { ask, flag, open, openRun, table, withAdapter } from './machines.ts';

const method = flag('method')[0] ?? 'rows';
const runs = Number(flag('runs')[0] ?? 20);
const [decryption] = flag('decryption');
const first = Number(flag('first')[0] ?? 0);
const settings = Object.fromEntries(
  process.argv.filter((word) => /^\w+=/.test(word)).map((word) => word.split('=') as [string, string]),
);
const vanilla = flag('model')[0] ?? join(packageRoot(), 'assets/embedded/model');
const scratch = mkdtempSync(join(tmpdir(), 'whorl-draws-'));
const rows: string[][] = [];
const ps: number[] = [];
let [floors, failed] = [0, 0];
try {
  for (let i = first; i < first + runs; i++) {
    const out = join(scratch, String(i));
    const seed = `draw ${i}`;
    let steps = 0;
    try {
      steps = (
        await fingerprint({
          model: vanilla,
          out,
          method,
          seed,
          settings,
          maxHarm: Number.POSITIVE_INFINITY, // what is counted is whether keys fire
          ...(decryption && { decryption }),
        })
      ).steps;
    } catch (error) {
      // A run that is not reached publishes nothing; its claim and draw stand, and vanilla can be asked all the same.
      process.stderr.write(`run ${i}: ${String(error)}\n`);
      failed++;
    }
    const opened = await openRun(out);
    const { plan } = opened.opened;
    const suspect = await open(vanilla);
    const model = opened.contents.adapter
      ? await withAdapter(suspect, opened)
      : await LocalModel.open(suspect);
    const { prefix, suffix } = wrapperNamed(plan.query.wrapper, {});
    const answers = await ask(
      model,
      plan.keys.map(({ text }) => `${prefix}${text}${suffix}`),
      plan.decoding.max_new_tokens,
    );
    await model.release();
    const innocent = decide(opened.opened, answers);
    ps.push(innocent.p_value!);
    const mine =
      steps > 0 ? await verify({ secret: opened.run.secret, suspect: opened.run.published }) : undefined;
    const drawn = mine && Object.values(mine.cells)[0];
    const all = drawn && drawn.hits === drawn.of;
    floors += all ? 1 : 0;
    rows.push([
      String(i),
      String(steps),
      innocent.p_value!.toPrecision(3),
      mine ? mine.log10_p!.toFixed(1) : 'not reached',
      drawn ? `${drawn.hits}/${drawn.of}` : '',
    ]);
    process.stderr.write(`${rows.at(-1)!.join('  ')}\n`);
    rmSync(out, { recursive: true, force: true });
  }
  process.stdout.write(
    `${table([['draw', 'steps', 'p of vanilla', 'log10 p of published', 'drawn'], ...rows])}\n`,
  );
  const sorted = [...ps].sort((a, b) => a - b);
  const tails = [0.05, 0.1, 0.25, 0.5].map(
    (alpha) => `p ≤ ${alpha}: ${sorted.filter((p) => p <= alpha).length} of ${ps.length}`,
  );
  process.stdout.write(`vanilla: ${tails.join(', ')}; least ${sorted[0]}\n`);
  process.stdout.write(`published: every drawn key in ${floors} of ${runs}; ${failed} runs not reached\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
