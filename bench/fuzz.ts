// Seeded mutants of every kind of file that a stranger may hand over: each opens or is refused by a WhorlError. Children do the
// work, so that a crash, a hang or memory without bound is seen and counted, with the mutant's number.
// Run: npx tsx bench/fuzz.ts [--mutants 100000] [--kinds gguf,torch,…] [--first 0] [--hang 60]; one: --kinds K --first N --mutants 1

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WhorlError } from '../src/base/error.ts';
import { packageRoot } from '../src/base/package-root.ts';
import { ggufFamilyOf } from '../src/models/families/gguf.ts';
import { familyOf } from '../src/models/families/index.ts';
import { ggufConfig, ggufWeights } from '../src/models/gguf-model.ts';
import { readGguf } from '../src/sources/checkpoints/gguf.ts';
import { readTorchFile } from '../src/sources/checkpoints/torch-file.ts';
import { tokenizerFilesFromGguf } from '../src/text/gguf-tokenizer.ts';
import { renderChat } from '../src/text/prompts/chat-template.ts';
import { openTokenizer, tokenizerFromFiles } from '../src/text/tokenizer.ts';
import { mutant } from './fuzz-mutants.ts';
import { flag, table } from './machines.ts';

const GOLDENS = join(packageRoot(), 'goldens');
const HEAP_MB = 1024;
const TEXTS = ['The quick brown fox', ' x\n\ty', '日本語 и русский', '👩‍👩‍👧 <s>a</s>', ''];

const CLASSES = [
  'adapter.InstructionFingerprint',
  'torch.nn.modules.sparse.Embedding',
  'torch.nn.modules.linear.Linear',
];

interface Kind {
  readonly mutates: Parameters<typeof mutant>[0];
  seeds(): readonly Buffer[];
  /** @param folder the child's own */
  open(bytes: Buffer, folder: string): unknown;
}

const files = (under: string, name: RegExp): Buffer[] =>
  readdirSync(join(GOLDENS, under), { recursive: true, encoding: 'utf8' })
    .filter((path) => name.test(basename(path)))
    .sort()
    .map((path) => readFileSync(join(GOLDENS, under, path)));

const asked = async (tokenizer: Awaited<ReturnType<typeof openTokenizer>>): Promise<void> => {
  for (const ids of await tokenizer.encodeBatch(TEXTS)) await tokenizer.decode(ids);
};

const folderOf = (name: string) => async (bytes: Buffer, folder: string) => {
  writeFileSync(join(folder, name), bytes);
  await asked(await openTokenizer(folder));
};

const KINDS: Readonly<Record<string, Kind>> = {
  gguf: {
    mutates: 'bytes',
    seeds: () => [...files('gguf', /\.gguf$/), ...files('bad-files/gguf', /^good.*\.gguf$/)],
    open(bytes, folder) {
      const path = join(folder, 'x.gguf');
      writeFileSync(path, bytes);
      const file = { ...readGguf(path), path };
      const family = ggufFamilyOf(file.metadata);
      if (family) {
        familyOf(
          ggufConfig(family, file, () => new Float32Array(8)),
          path,
        );
        ggufWeights(family, file);
      }
      const metadata = Object.fromEntries(file.metadata);
      if ('tokenizer.ggml.model' in metadata) tokenizerFilesFromGguf(metadata);
    },
  },
  'gguf-vocabulary': {
    mutates: 'values', // a GGUF's keys are no text
    seeds: () => files('tokenizers', /^tiny\.json$/).map((bytes) => metadataOf(bytes)),
    open: async (bytes) => asked(await tokenizerFromFiles(tokenizerFilesFromGguf(parsed(bytes)), 'x.gguf')),
  },
  torch: {
    mutates: 'bytes',
    seeds: () => files('torch', /\.(pt|bin)$/),
    open(bytes, folder) {
      const path = join(folder, 'x.pt');
      writeFileSync(path, bytes);
      readTorchFile(path, CLASSES);
    },
  },
  'tokenizer.json': {
    mutates: 'json',
    seeds: () => files('tokenizers', /^tokenizer\.json$/),
    open: folderOf('tokenizer.json'),
  },
  'tokenizer.model': {
    mutates: 'bytes',
    seeds: () => files('tokenizers/sentencepiece', /\.model$/),
    open: folderOf('tokenizer.model'),
  },
  'spiece.model': {
    mutates: 'bytes',
    seeds: () => files('tokenizers/t5', /^spiece\.model$/),
    open: folderOf('spiece.model'),
  },
  'config.json': {
    mutates: 'json',
    seeds: () => files('models', /^config\.json$/),
    open(bytes) {
      familyOf(parsed(bytes), 'config.json');
    },
  },
  template: {
    mutates: 'template',
    seeds: () => {
      const { families } = JSON.parse(readFileSync(join(GOLDENS, 'templates/families.json'), 'utf8')) as {
        families: Record<string, { template: string }>;
      };
      return Object.values(families).map(({ template }) => Buffer.from(template));
    },
    open: (bytes) =>
      renderChat(
        bytes.toString(),
        [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'x' },
          { role: 'assistant', content: 'y' },
        ],
        { addGenerationPrompt: true, names: { bos_token: '<s>', eos_token: '</s>' } },
      ),
  },
};

const metadataOf = (bytes: Buffer): Buffer => {
  const { metadata } = JSON.parse(bytes.toString()) as { metadata: object };
  return Buffer.from(JSON.stringify({ ...metadata, 'tokenizer.ggml.pre': 'smollm' }));
};

/** What every reader of such a file does first; text that is no JSON object is refused there. */
function parsed(bytes: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    throw new WhorlError('bad-file', 'config.json is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WhorlError('bad-file', 'config.json is no object');
  return value as Record<string, unknown>;
}

interface Counts {
  opened: number;
  refused: number;
  faults: string[];
  /** CPU seconds of the slowest, and its number. */
  slowest: [seconds: number, number: number];
  /** Bytes. */
  peak: number;
}
const fresh = (): Counts => ({ opened: 0, refused: 0, faults: [], slowest: [0, 0], peak: 0 });

async function child(name: string, first: number, count: number): Promise<void> {
  const kind = KINDS[name]!;
  const folder = mkdtempSync(join(tmpdir(), 'whorl-fuzz-'));
  const seeds: Buffer[] = []; // one that is refused as it stands would show nothing
  for (const seed of kind.seeds())
    try {
      await kind.open(seed, folder);
      seeds.push(seed);
    } catch (error) {
      if (!(error instanceof WhorlError)) throw error;
    }
  if (seeds.length === 0) throw new Error(`no file of kind ${name} opens`);
  const counts = fresh();
  for (let number = first; number < first + count; number++) {
    writeSync(1, `${number} ${counts.opened} ${counts.refused}\n`); // by itself, so that it is there whatever comes
    const bytes = mutant(kind.mutates, `${name}/${number}`, seeds[number % seeds.length]!);
    const before = process.cpuUsage();
    try {
      await kind.open(bytes, folder);
      counts.opened++;
    } catch (error) {
      if (error instanceof WhorlError) counts.refused++;
      else counts.faults.push(`${number}: ${String((error as Error).stack ?? error).slice(0, 400)}`);
    }
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    if (seconds > counts.slowest[0]) counts.slowest = [seconds, number];
  }
  counts.peak = process.resourceUsage().maxRSS * 1024;
  rmSync(folder, { recursive: true, force: true });
  writeSync(1, `${JSON.stringify(counts)}\n`);
}

/** One child's mutants; where it dies or hangs, what it was at. */
function run(
  name: string,
  first: number,
  count: number,
  hang: number,
): Promise<{ counts: Counts; next: number }> {
  return new Promise((resolve, reject) => {
    const args = ['--child', '--kinds', name, '--first', String(first), '--mutants', String(count)];
    const work: ChildProcess = fork(fileURLToPath(import.meta.url), args, {
      execArgv: [...process.execArgv, `--max-old-space-size=${HEAP_MB}`],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    let [last, rest, at] = ['', '', Date.now()];
    // Until its first mutant it loads and opens every seed, which takes long on a busy machine.
    const limit = (): number => hang * 1000 * (last === '' ? 10 : 1);
    work.stdout!.on('data', (data: Buffer) => {
      const lines = (rest + data.toString()).split('\n');
      rest = lines.pop()!;
      last = lines.at(-1) ?? last;
      at = Date.now();
    });
    const watch = setInterval(() => {
      if (Date.now() - at > limit()) work.kill('SIGKILL');
    }, 1000);
    work.on('close', (code, signal) => {
      clearInterval(watch);
      if (last.startsWith('{')) return resolve({ counts: JSON.parse(last) as Counts, next: first + count });
      if (last === '') return reject(new Error(`the child for ${name} did not begin (${signal ?? code})`));
      const [number = first, opened = 0, refused = 0] = last.split(' ').map(Number);
      const what = Date.now() - at > limit() ? `hangs for ${hang} s` : `ends the process (${signal ?? code})`;
      resolve({ counts: { ...fresh(), opened, refused, faults: [`${number}: ${what}`] }, next: number + 1 });
    });
  });
}

const wanted = (flag('kinds')[0] ?? Object.keys(KINDS).join(',')).split(',');
const mutants = Number(flag('mutants')[0] ?? 100_000);
const first = Number(flag('first')[0] ?? 0);
if (process.argv.includes('--child')) await child(wanted[0]!, first, mutants);
else {
  const hang = Number(flag('hang')[0] ?? 60);
  const rows = [['kind', 'mutants', 'opened', 'refused', 'faults', 'slowest, CPU s', 'peak MB']];
  for (const name of wanted) {
    const total = fresh();
    const end = first + Math.ceil(mutants / wanted.length);
    for (let next = first; next < end; ) {
      const made = await run(name, next, end - next, hang);
      total.opened += made.counts.opened;
      total.refused += made.counts.refused;
      total.faults.push(...made.counts.faults);
      if (made.counts.slowest[0] > total.slowest[0]) total.slowest = made.counts.slowest;
      total.peak = Math.max(total.peak, made.counts.peak);
      next = made.next;
      for (const fault of made.counts.faults) process.stderr.write(`${name} ${fault}\n`);
    }
    const { opened, refused, faults, slowest, peak } = total;
    rows.push([
      name,
      String(end - first),
      String(opened),
      String(refused),
      String(faults.length),
      `${slowest[0].toFixed(2)} (${slowest[1]})`,
      (peak / 1e6).toFixed(0),
    ]);
    process.stderr.write(`${rows.at(-1)!.join('  ')}\n`);
  }
  process.stdout.write(`${table(rows)}\n`);
}
