// `whorl verify`: asks a suspect every key and prints the verdict with what it rests on. Exit code 3: not verified.

import { Command } from 'commander';
import type { VerifyReport } from '../../verify/verify.ts';
import { fraction } from '../arguments.ts';
import { type ComputeFlags, computeOptions, withComputeFlags } from '../model-flags.ts';
import { durationText, NotVerified, paint, powerText, print, printJson, table, wrapped } from '../output.ts';
import { type UnlockFlags, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';

interface VerifyFlags extends UnlockFlags, ComputeFlags {
  secret: string;
  suspect: string;
  claim?: string;
  body?: string;
  wrapper?: string;
  system?: string;
  alpha?: number;
  json?: boolean;
}

export function verifyCommand(): Command {
  return withComputeFlags(new Command('verify'))
    .description(
      'Does the suspect descend from the model this secret was made with? Exit code 0: verified, 3: not verified.',
    )
    .requiredOption('--secret <file>', 'secret.whorl of the run')
    .requiredOption(
      '--suspect <model>',
      'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision])',
    )
    .option('--claim <file>', 'the published claim.json (default: the one beside the secret)')
    .option(
      '--body <model>',
      "the owner's vanilla model, on which the suspect's rows are put (adapter; default: the suspect's own body)",
    )
    .option('--wrapper <name>', 'how the keys are put: bare, chat, alpaca … (default: as committed)')
    .option('--system <text>', 'a system prompt before every key')
    .option('--alpha <number>', "the level of the decision (default: the claim's, 1e-6)", fraction)
    .option('--passphrase', 'ask for the passphrase of the secret, or take WHORL_PASSPHRASE')
    .option('--passphrase-file <file>', 'the passphrase of the secret')
    .option('--identity <file>', 'the age identity the secret was encrypted to')
    .option('--json', 'one JSON line on stdout and nothing else')
    .action((flags: VerifyFlags) => runVerify(flags));
}

async function runVerify(flags: VerifyFlags): Promise<void> {
  const { secret, suspect, claim, body, wrapper, system, alpha } = flags;
  const unlock = await unlockFor(secret, flags);
  const { verify } = await import('../../verify/verify.ts');
  const report = await withProgress((onEvent) =>
    verify({
      secret,
      suspect,
      onEvent,
      ...computeOptions(flags),
      ...(claim !== undefined && { claim }),
      ...(body !== undefined && { body }),
      ...(wrapper !== undefined && { wrapper }),
      ...(system !== undefined && { system }),
      ...(alpha !== undefined && { alpha }),
      ...(unlock && { unlock }),
    }),
  );
  if (flags.json) printJson(report);
  else show(report);
  if (report.verdict !== 'verified') throw new NotVerified(report.reason);
}

function show(report: VerifyReport): void {
  const verified = report.verdict === 'verified';
  print(
    (verified ? paint.green : paint.red)(paint.bold(verified ? 'VERIFIED' : 'NOT VERIFIED')) +
      `  ${report.suspect}`,
  );
  print(`  ${pLine(report)}`);
  for (const line of wrapped(report.reason)) print(paint.dim(line));
  print();
  const share = (hits: number, of: number) => (of === 0 ? '–' : `${((100 * hits) / of).toFixed(0)} %`);
  for (const line of table([
    ...Object.entries(report.cells).map(([name, { hits, of }]) => [
      name,
      `${hits} of ${of}`,
      share(hits, of),
    ]),
  ]))
    print(line);
  print();
  print(`  passive baseline  ${passiveText(report.passive)}`);
  print(`  test              ${report.test}; ${report.matcher}`);
  print(
    `  asked             ${report.asked.wrapper}${report.asked.system === null ? '' : ', with a system prompt'}, ${durationText(report.seconds)}`,
  );
  print(`  claim             ${report.claim.root.slice(0, 16)}… of ${report.claim.created}`);
  print(
    `  time proof        ${report.time_proof === 'none' ? 'none: the claim says by itself when it was made' : report.time_proof}`,
  );
  if (report.warnings.length > 0) section('Warning', report.warnings);
  section('Null hypothesis', [report.null_hypothesis]);
  section('It rests on', report.assumptions);
  section('Whose dice', [report.draw, ...grinding(report)]);
  section('What this does not say', report.does_not_say);
}

function pLine({ log10_p, alpha, floor, multiplicity }: VerifyReport): string {
  if (log10_p === null) return 'no p-value: counts only';
  const paid = multiplicity > 1 ? `, ${multiplicity} looks paid for` : '';
  const least = `the least this claim can reach is ${powerText(floor.log10_p)}${floor.p_value > alpha ? ', so no answers suffice' : ''}`;
  return `p ≤ ${paint.bold(powerText(log10_p))} (decided at ${alpha.toExponential()}; ${least}${paid})`;
}

function passiveText(passive: VerifyReport['passive']): string {
  if (passive === null) return 'the suspect has no such rows to compare';
  const cosine = passive.cosine === null ? '' : `, cosine of their changes ${passive.cosine.toFixed(3)}`;
  return `${(100 * passive.bit_equal).toFixed(1)} % of ${passive.rows} trained rows bit-equal${cosine} (no part of the verdict)`;
}

const grinding = ({ log10_p_after_grinding: left }: VerifyReport): string[] =>
  left === null
    ? []
    : [
        `Were the owner thought to have tried 2^80 seeds, ${left === 0 ? 'nothing' : `p ≤ ${powerText(left)}`} would be left.`,
      ];

function section(title: string, lines: readonly string[]): void {
  print(`\n${paint.bold(title)}`);
  for (const line of lines)
    for (const [i, part] of wrapped(line, '    ').entries())
      print(i === 0 ? `  · ${part.trimStart()}` : part);
}
