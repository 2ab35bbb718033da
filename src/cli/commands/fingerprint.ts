// `whorl fingerprint`: a model in; a folder to publish, a claim, a secret and the figures of the run out.

import { Command } from 'commander';
import type { FingerprintReport } from '../../fingerprint/fingerprint.ts';
import { parseSettings, repeated, wholeNumber } from '../arguments.ts';
import { type ComputeFlags, computeOptions, withComputeFlags } from '../model-flags.ts';
import { countText, durationText, paint, print, printJson, table } from '../output.ts';
import { identityFrom, type LockFlags, lockFrom } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { readSettingsFile } from '../settings-file.ts';

interface FingerprintFlags extends LockFlags, ComputeFlags {
  model: string;
  out: string;
  method?: string;
  keys?: string;
  pool?: number;
  trained?: number;
  seed?: string;
  decryption?: string;
  source?: string;
  identity?: string;
  settings?: string;
  overwrite?: boolean;
  maxMinutes?: number;
  maxHarm?: number;
  json?: boolean;
}

export function fingerprintCommand(): Command {
  return withComputeFlags(new Command('fingerprint'))
    .description('Commit, draw, train, publish. The secret proves later that a model descends from this one.')
    .requiredOption('--model <model>', 'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision])')
    .requiredOption('--out <folder>', 'the private run folder; only its published/ may be uploaded')
    .option(
      '--method <name>',
      'rows: embedding rows of rare tokens; adapter: rows and a private adapter; sft, emb, lora: weights, as the paper; stamp: a direction in weights, nothing trained (default: rows)',
    )
    .option('--keys <kind>', "where key phrases come from; paper: the paper's, which everybody holds")
    .option('--pool <number>', 'keys committed (adapter: of which --trained are drawn)', wholeNumber(1))
    .option('--trained <number>', 'keys that are drawn and trained', wholeNumber(1))
    .option(
      '--seed <text>',
      'repeats a run bit for bit on the same machine; whoever knows or guesses it knows the keys',
    )
    .option('--decryption <text>', 'what drawn keys are answered with (all but rows)')
    .option('--source <file>', 'ordinary conversations or instructions beside them (sft, emb, lora)')
    .option('--settings <file>', 'YAML with settings, under those of the command line')
    .option('--passphrase', 'encrypt the secret; asked for, or from WHORL_PASSPHRASE')
    .option('--passphrase-file <file>', 'encrypt the secret with the passphrase in this file')
    .option('--recipient <age1…>', 'encrypt the secret to an age recipient; may be repeated', repeated)
    .option(
      '--overwrite',
      'start anew where a run stands: an unfinished one is removed, a finished one moved aside',
    )
    .option(
      '--max-minutes <n>',
      'how long training may go on beyond its steps until its cells hold; 0: not at all (default: 30)',
      Number,
    )
    .option(
      '--max-harm <nats>',
      'most harm to ordinary text at which the model is published: mean KL to vanilla (rows, adapter; default: 0.1) or rise of the loss a token (sft, emb, lora; default: 0.5; stamp: 0.01), of the language that suffers most',
      Number,
    )
    .option('--identity <file>', 'the age identity that opens an interrupted run kept for a --recipient')
    .option('--json', 'one JSON line on stdout and nothing else')
    .argument('[settings...]', "the method's settings as key=value")
    .action((settings: string[], flags: FingerprintFlags) => runFingerprint(settings, flags));
}

async function runFingerprint(args: readonly string[], flags: FingerprintFlags): Promise<void> {
  const file = flags.settings === undefined ? {} : readSettingsFile(flags.settings);
  const settings = { ...file, ...parseSettings(args) };
  const { model, out, method, keys, pool, trained, seed, decryption, source } = flags;
  const lock = await lockFrom(flags);
  const unlock = flags.identity === undefined ? undefined : identityFrom(flags.identity);
  const { fingerprint } = await import('../../fingerprint/fingerprint.ts');
  const began = performance.now();
  const report = await withProgress((onEvent) =>
    fingerprint({
      model,
      out,
      settings,
      onEvent,
      ...computeOptions(flags),
      ...(method !== undefined && { method }),
      ...(keys !== undefined && { keys }),
      ...(pool !== undefined && { pool }),
      ...(trained !== undefined && { trained }),
      ...(seed !== undefined && { seed }),
      ...(decryption !== undefined && { decryption }),
      ...(source !== undefined && { source }),
      ...(lock && { lock }),
      ...(flags.overwrite && { overwrite: true }),
      ...(flags.maxMinutes !== undefined && { maxMinutes: flags.maxMinutes }),
      ...(flags.maxHarm !== undefined && { maxHarm: flags.maxHarm }),
      ...(unlock && { unlock }),
    }),
  );
  if (flags.json) printJson(report);
  else show(report, lock !== undefined, (performance.now() - began) / 1000);
}

const trainedText = ({ rows, parameters }: FingerprintReport): string =>
  parameters === undefined ? `${countText(rows)} embedding rows` : `${countText(parameters)} parameters`;

/** What was done to the model; a stamp is written, not trained. */
function effortText(report: FingerprintReport): string {
  const took = durationText(report.seconds);
  if (report.steps === 0) return `${countText(report.parameters ?? 0)} parameters stamped in ${took}`;
  return `${countText(report.steps)} steps, ${countText(report.tokens)} tokens, ${trainedText(report)} trained in ${took}`;
}

/** A tick says that the rule was met, not that the run went on with what fell short. */
const MARK = {
  met: () => paint.green('✓'),
  allowed: () => paint.yellow('~'),
  failed: () => paint.red('✗'),
} as const;

function show(report: FingerprintReport, locked: boolean, seconds: number): void {
  const line = (name: string, path: string, what: string) => [name, paint.bold(path), paint.dim(what)];
  print(`${paint.bold(paint.green('fingerprinted'))} by ${report.method} in ${durationText(seconds)}`);
  print(paint.dim(`  ${effortText(report)}`));
  print();
  const cells = report.cells.map(({ name, fired, of, wanted, held }) => {
    const missed = wanted === 'all' ? of - fired : fired;
    const rule = wanted === 'all' ? 'all should answer' : 'none should';
    const kind = missed === 0 ? 'met' : held ? 'allowed' : 'failed';
    const how = missed === 0 ? rule : `${rule}; ${missed} ${held ? 'may fail' : 'too many'}`;
    return [MARK[kind](), name, `${fired} of ${of}`, paint.dim(how)];
  });
  for (const row of table(cells)) print(row);
  if (report.kl && report.kl.length > 0) {
    print('\nKL to vanilla on held-out text, nats');
    for (const row of table([
      ['', 'mean', 'largest'],
      ...report.kl.map(({ name, mean, largest }) => [name, mean.toExponential(1), largest.toExponential(1)]),
    ]))
      print(row);
  }
  if (report.perplexity) {
    print('\nperplexity of held-out text');
    for (const row of table([
      ['', 'vanilla', 'published'],
      ...report.perplexity.map(({ name, vanilla, published }) => [
        name,
        vanilla.toFixed(2),
        published.toFixed(2),
      ]),
    ]))
      print(row);
  }
  const { unit, language, value, limit } = report.harm;
  print(`\nharm: ${value.toExponential(1)} (${language ?? 'any language'}; ${unit}; --max-harm ${limit})`);
  print();
  const files = [
    line('publish', report.published, 'the model, to upload'),
    line('publish', report.claim, 'the public commitment, to have timestamped before you upload'),
    line(
      'keep',
      report.secret,
      locked ? 'encrypted' : 'whoever has it has the keys; --passphrase encrypts it',
    ),
    line('keep', report.run, 'settings, hashes and figures'),
  ];
  for (const row of table(files)) print(row);
  print(`\nAsk a suspect: whorl verify --secret ${report.secret} --suspect MODEL`);
}
