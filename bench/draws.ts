// Complete runs on the embedded model or --model, a draw each: steps, tokens, seconds, harm, every cell and what verify says, the worst
// of each method last; and p of vanilla (under the adapter, where there is one), which must be super-uniform.
// Run: npx tsx bench/draws.ts --method rows,lora [--model MODEL] [--runs 20] [--first 0] [--decryption WORD] [key=value …]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../src/base/package-root.ts';
import { fingerprint } from '../src/fingerprint/fingerprint.ts';
import type { FingerprintReport } from '../src/fingerprint/finish.ts';
import { RunFolder } from '../src/runs/run-folder.ts';
import { verify } from '../src/verify/verify.ts';
import { flag, table } from './machines.ts';

const VANILLA = flag('model')[0] ?? join(packageRoot(), 'assets/embedded/model');
const COLUMNS = [
  'method',
  'draw',
  'steps',
  'tokens',
  's',
  'harm',
  'log10 p',
  'verdict',
  'p of vanilla',
  'cells',
];

const methods = (flag('method')[0] ?? 'rows').split(',');
const runs = Number(flag('runs')[0] ?? 20);
const [decryption] = flag('decryption');
const first = Number(flag('first')[0] ?? 0);
const settings = Object.fromEntries(
  process.argv.filter((word) => /^\w+=/.test(word)).map((word) => word.split('=') as [string, string]),
);

interface Row {
  /** Empty where nothing was published. */
  readonly report?: FingerprintReport;
  readonly log10P: number;
  readonly verdict: string;
  readonly vanilla: number;
}

async function draw(method: string, i: number, out: string): Promise<Row> {
  let report: FingerprintReport | undefined;
  try {
    report = await fingerprint({
      model: VANILLA,
      out,
      method,
      seed: `draw ${i}`,
      settings,
      maxHarm: Number.POSITIVE_INFINITY, // what is counted is whether keys fire
      ...(decryption && { decryption }),
    });
  } catch (error) {
    // A run that is not reached publishes nothing; its claim and draw stand, and vanilla can be asked all the same.
    process.stderr.write(`${method} ${i}: ${String(error)}\n`);
  }
  const secret = new RunFolder(out).secret;
  const vanilla = (await verify({ secret, suspect: VANILLA })).p_value!;
  if (!report) return { log10P: 0, verdict: 'not reached', vanilla };
  const { verdict, log10_p } = await verify({ secret, suspect: report.published });
  return { report, log10P: log10_p!, verdict, vanilla };
}

const cellsOf = ({ report }: Row): string =>
  report?.cells.map(({ fired, of }) => `${fired}/${of}`).join(' ') ?? '';

const worded = (method: string, name: string, row: Row): string[] => [
  method,
  name,
  String(row.report?.steps ?? ''),
  String(row.report?.tokens ?? ''),
  row.report ? row.report.seconds.toFixed(0) : '',
  row.report ? row.report.harm.value.toPrecision(2) : '',
  row.log10P.toFixed(1),
  row.verdict,
  row.vanilla.toPrecision(3),
  cellsOf(row),
];

const scratch = mkdtempSync(join(tmpdir(), 'whorl-draws-'));
const lines: string[][] = [];
const ps: number[] = [];
try {
  for (const method of methods) {
    const rows: Row[] = [];
    for (let i = first; i < first + runs; i++) {
      const out = join(scratch, `${method}-${i}`);
      const row = await draw(method, i, out);
      rmSync(out, { recursive: true, force: true });
      rows.push(row);
      lines.push(worded(method, String(i), row));
      ps.push(row.vanilla);
      process.stderr.write(`${lines.at(-1)!.join('  ')}\n`);
    }
    const [reached] = rows.flatMap(({ report }) => report ?? []);
    const names = reached?.cells.map(({ name }) => name) ?? [];
    process.stderr.write(`cells of ${method}: ${names.join(' | ')}\n`);
    lines.push(
      worded(
        method,
        'worst',
        rows.reduce((a, b) => (b.log10P > a.log10P ? b : a)),
      ),
    );
    const verified = rows.filter(({ verdict }) => verdict === 'verified').length;
    process.stdout.write(`${method}: ${verified} of ${runs} verified\n`);
  }
  process.stdout.write(`${table([COLUMNS, ...lines])}\n`);
  const sorted = [...ps].sort((a, b) => a - b);
  const tails = [0.05, 0.1, 0.25, 0.5].map(
    (alpha) => `p ≤ ${alpha}: ${sorted.filter((p) => p <= alpha).length} of ${ps.length}`,
  );
  process.stdout.write(`vanilla: ${tails.join(', ')}; least ${sorted[0]}\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
