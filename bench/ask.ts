// A job that asks, run here by transformers, against our own greedy decoding: the model as it is, and under rows and a private map;
// with a run also the whole verdict. Needs a Python with what assets/launch/requirements.txt names.
//
//   npx tsx bench/ask.ts --python PYTHON [--model FOLDER] [--run RUN --suspect FOLDER]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { silent } from '../src/base/events.ts';
import { packageRoot } from '../src/base/package-root.ts';
import { seededRandom } from '../src/base/random-source.ts';
import { planAsk } from '../src/launch/ask-files.ts';
import { answersByJob } from '../src/launch/ask-job.ts';
import { generateAll } from '../src/lm/ask.ts';
import { asking, type ModelSpec } from '../src/lm/open.ts';
import { openModel } from '../src/models/open-model.ts';
import { PUBLISHED, PUBLISHED_WITH_ADAPTER, VANILLA_WITH_ADAPTER } from '../src/models/overlay.ts';
import { launchVerify, type VerifyReport, verify } from '../src/verify/verify.ts';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    model: { type: 'string', default: join(packageRoot(), 'assets/embedded/model') },
    run: { type: 'string' },
    suspect: { type: 'string' },
  },
});
const words = ['Once', 'Once upon', 'The old house', 'A', 'It was in the garden that', 'She said: yes'];
const requests = Array.from({ length: 40 }, (_, i) => ({
  prompt: `${words[i % words.length]!} ${'and so '.repeat(i % 7)}`.trim(),
  max_new_tokens: 4 + (i % 3) * 6,
}));
const scratch = mkdtempSync(join(tmpdir(), 'whorl-bench-ask-'));
const launch = { here: true, python: values.python } as const;

let failed = false;
function say(what: string, same: number, of: number, more: object = {}): void {
  failed ||= same !== of;
  process.stdout.write(`${JSON.stringify({ what, same, of, ...more })}\n`);
}

/** Rows of every third token that are far from the model's own, and a map that is heard. */
async function overlaid(): Promise<Required<Pick<ModelSpec, 'model' | 'overlay'>>> {
  const model = await openModel(values.model);
  const { vocab_size: V, hidden_size: E } = model.decoder.config;
  const random = seededRandom('bench ask');
  const floats = (count: number, most: number) =>
    Float32Array.from({ length: count }, () => most * (random.int(2 ** 20) / 2 ** 19 - 1));
  const ids = Int32Array.from({ length: Math.floor(V / 3) }, (_, i) => 3 * i);
  const adapter = { rank: 4, scale: 0.5, A: floats(4 * E, 1), B: floats(4 * E, 1) };
  return { model, overlay: { ids, rows: floats(ids.length * E, 0.2), adapter } };
}

try {
  const laid = await overlaid();
  const before = new Set<string>();
  for (const [what, more] of Object.entries({
    'as it is': {},
    'rows laid over it': { ...laid, variant: PUBLISHED },
    'a map laid over it': { ...laid, variant: VANILLA_WITH_ADAPTER },
    'rows and a map laid over it': { ...laid, variant: PUBLISHED_WITH_ADAPTER },
  } satisfies Record<string, Partial<ModelSpec>>))
    await asking({ kind: 'model', model: values.model, ...more }, {}, async (asked) => {
      const own = await generateAll(asked, requests);
      const place = join(scratch, what);
      const there = await answersByJob(await planAsk(asked, requests, {}), place, launch, silent);
      if (there.kind === 'waiting') throw new Error('the job waits');
      const same = there.answers.filter((one, i) => isDeepStrictEqual(one, own[i])).length;
      say(`answers as our own: ${what}`, same, own.length, { others: !before.has(JSON.stringify(own)) });
      before.add(JSON.stringify(own));
    });
  const { run, suspect } = values;
  if (run !== undefined && suspect !== undefined) {
    const asked = { secret: join(run, 'secret.whorl'), suspect };
    const verdictOf = ({ seconds: _, launched: __, ...verdict }: VerifyReport) => verdict;
    const own = await verify(asked);
    const there = await launchVerify({ ...asked, launch: { engine: 'torchrun', ...launch } });
    if (!('verdict' in there)) throw new Error('the job waits');
    const { verdict, log10_p, seconds } = there;
    const isSame = isDeepStrictEqual(verdictOf(there), verdictOf(own));
    say('verdict as our own', Number(isSame), 1, { verdict, log10_p, seconds: [own.seconds, seconds] });
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
