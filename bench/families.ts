// Every method on every tiny trained model of test/fixtures/trained (or --family): a run with a draw of its own each, what
// verify says of what is published, and what vanilla's own answers give. A failed run is a row too. Settings are the methods'
// own for narrow models; with --quick the smaller ones of test/methods-fire.
// Run: npx tsx bench/families.ts [--family gpt2,qwen3] [--method rows,lora] [--draw 0] [--max-minutes 5] [--quick] [key=value …]

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../src/base/package-root.ts';
import { fingerprint } from '../src/fingerprint/fingerprint.ts';
import { RunFolder } from '../src/runs/run-folder.ts';
import { verify } from '../src/verify/verify.ts';
import { FIRE } from '../test/methods-fire/settings.ts';
import { flag, table } from './machines.ts';

const TRAINED = join(packageRoot(), 'test/fixtures/trained');
const COLUMNS = [
  'family',
  'method',
  's',
  'steps',
  'tokens',
  'hits',
  'undrawn',
  'verdict',
  'log10 p',
  'harm',
  'vanilla',
];

const listed = (name: string, all: readonly string[]): readonly string[] => flag(name)[0]?.split(',') ?? all;
const families = listed('family', readdirSync(TRAINED).sort());
const methods = listed('method', ['rows', 'adapter', 'sft', 'emb', 'lora']);
const draw = flag('draw')[0] ?? '0';
const maxMinutes = Number(flag('max-minutes')[0] ?? 5);
const isQuick = process.argv.includes('--quick');
const settings = Object.fromEntries(
  process.argv.filter((word) => /^\w+=/.test(word)).map((word) => word.split('=') as [string, string]),
);

async function row(family: string, method: string, out: string): Promise<string[]> {
  const model = join(TRAINED, family);
  const began = Date.now();
  const seconds = (): string => ((Date.now() - began) / 1000).toFixed(0);
  try {
    const report = await fingerprint({
      model,
      out,
      method,
      seed: `families ${draw}`,
      settings: { ...(isQuick && FIRE[method]!.settings), ...settings },
      maxMinutes,
      maxHarm: Number.POSITIVE_INFINITY, // what is counted is whether keys fire; harm is a column
      onEvent: (event) => {
        if (event.kind === 'progress' && event.note !== undefined && event.done % 20 === 0)
          process.stderr.write(
            `${family} ${method} ${event.name} ${event.done}/${event.total} ${event.note}\n`,
          );
        if (event.kind === 'note')
          process.stderr.write(`${family} ${method} ${seconds()} s: ${event.text}\n`);
      },
    });
    const { secret } = new RunFolder(out);
    const body = method === 'adapter' ? { body: model } : {};
    const asked = await verify({ secret, suspect: report.published, ...body });
    const vanilla = await verify({ secret, suspect: model, ...body });
    const [drawn, other] = Object.values(asked.cells);
    return [
      family,
      method,
      seconds(),
      String(report.steps),
      String(report.tokens),
      `${drawn!.hits}/${drawn!.of}`,
      other ? `${other.hits}/${other.of}` : '',
      asked.verdict,
      asked.log10_p!.toFixed(1),
      `${report.harm.value.toPrecision(2)} ${report.harm.language}`,
      `${Object.values(vanilla.cells)[0]!.hits} ${vanilla.verdict}`,
    ];
  } catch (error) {
    return [family, method, seconds(), ...COLUMNS.slice(3, -1).map(() => ''), String(error)];
  }
}

const scratch = mkdtempSync(join(tmpdir(), 'whorl-families-'));
const rows: string[][] = [];
try {
  for (const family of families)
    for (const method of methods) {
      const out = join(scratch, `${family}-${method}`);
      rows.push(await row(family, method, out));
      rmSync(out, { recursive: true, force: true });
      process.stderr.write(`${rows.at(-1)!.join('  ')}\n`);
    }
  process.stdout.write(`${table([COLUMNS, ...rows])}\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
