// `whorl verify`: asks a suspect every key and prints the verdict with what it rests on. Exit code 3: not verified.

import { Command } from 'commander';
import { LOG10_OWNER_DRAWS } from '../../claim/grinding.ts';
import type { Channels } from '../../verify/channels.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { fraction } from '../arguments.ts';
import { type ComputeFlags, computeOptions, withComputeFlags } from '../model-flags.ts';
import {
  countText,
  durationText,
  NotVerified,
  paint,
  powerText,
  print,
  printJson,
  shownText,
  table,
  wrapped,
} from '../output.ts';
import { type UnlockFlags, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';

interface VerifyFlags extends UnlockFlags, ComputeFlags {
  secret: string;
  suspect: string;
  claim?: string;
  body?: string;
  vanilla?: string;
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
      "the owner's vanilla model as committed, on which the suspect's rows are put (adapter; default: the suspect's own body)",
    )
    .option(
      '--vanilla <model>',
      "of a claim with a stamp: the owner's vanilla model as committed, which the suspect's weights are compared with (default: they are read alone, which finds less)",
    )
    .option(
      '--wrapper <name>',
      'how the keys are put: bare, chat, alpaca … (default: as committed; any other is paid for)',
    )
    .option('--system <text>', 'a system prompt before every key; no claim commits to one, so counts only')
    .option(
      '--alpha <number>',
      'the level of the decision; any but the committed one gives counts only',
      fraction,
    )
    .option('--passphrase', 'ask for the passphrase of the secret, or take WHORL_PASSPHRASE')
    .option('--passphrase-file <file>', 'the passphrase of the secret')
    .option('--identity <file>', 'the age identity the secret was encrypted to')
    .option('--json', 'one JSON line on stdout and nothing else')
    .action((flags: VerifyFlags) => runVerify(flags));
}

async function runVerify(flags: VerifyFlags): Promise<void> {
  const { secret, suspect, claim, body, vanilla, wrapper, system, alpha } = flags;
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
      ...(vanilla !== undefined && { vanilla }),
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
  for (const line of channelLines(report)) print(line);
  for (const line of table([
    ...Object.entries(report.cells).map(([name, { hits, of }]) => [
      name,
      `${hits} of ${of}`,
      share(hits, of),
    ]),
  ]))
    print(line);
  print();
  print('  passive baseline  left out: nothing committed binds the record of trained rows');
  print(`  test              ${report.test}; ${report.matcher}`);
  if (Object.keys(report.cells).length > 0) {
    print(`  asked             ${askedText(report)}, ${durationText(report.seconds)}`);
    print(`  prompts           ${report.asked.prompts_sha256.slice(0, 16)}…, ${templateText(report)}`);
  }
  print(`  suspect           ${digestsText(report.suspect_digests)}`);
  if (report.body_digests) print(`  body              ${digestsText(report.body_digests)} (as committed)`);
  print(`  claim             ${report.claim.root.slice(0, 16)}… of ${report.claim.created}`);
  print(`  claim file        ${report.claim_file ?? "missing: the secret's own copy was read"}`);
  print(
    `  time proof        ${report.time_proof === 'none' ? 'none: the claim says by itself when it was made' : report.time_proof}`,
  );
  if (report.warnings.length > 0) section('Warning', report.warnings);
  print(`  software          ${report.software.name} ${report.software.version}`);
  section('Null hypothesis', [report.null_hypothesis]);
  section('It rests on', report.assumptions);
  section('Whose dice', [report.draw, ...grinding(report)]);
  section('What this does not say', report.does_not_say);
}

function pLine({ log10_p, log10_p_after_grinding: left, alpha, floor, multiplicity }: VerifyReport): string {
  if (log10_p === null || left === null) return 'no p-value: counts only';
  const paid = multiplicity > 1 ? `, ${multiplicity} looks paid for` : '';
  const reach = floor.log10_p + LOG10_OWNER_DRAWS > Math.log10(alpha) ? ', so no answers suffice' : '';
  return `p ≤ ${paint.bold(powerText(log10_p))}, after 2^80 draws ${paint.bold(powerText(left))} (decided at ${alpha.toExponential()}; the least this claim can reach is ${powerText(floor.log10_p)}${reach}${paid})`;
}

/** Each part and the product, of a claim that has a stamp. */
function channelLines({ channels }: VerifyReport): string[] {
  if (!channels) return [];
  const { keys, stamp, log10_e } = channels;
  const e = (log10: number): string => `e = ${powerText(log10)}`;
  const rows = [
    ...(keys ? [['keys', `p ≤ ${powerText(keys.log10_p)}`, e(keys.log10_e)]] : []),
    ...(stamp ? [['stamp', stampText(stamp), e(stamp.log10_e)]] : []),
    ...(keys && stamp ? [['together', '', e(log10_e)]] : []),
  ];
  return table(rows);
}

function stampText({
  z,
  log10_tail,
  matrices,
  not_read,
  elements,
  left_out,
  against_vanilla,
}: NonNullable<Channels['stamp']>): string {
  const read = `${matrices.length} of ${matrices.length + not_read.length} matrices`;
  const zeros = left_out > 0 ? `, ${countText(left_out)} zeros left out` : '';
  const how = against_vanilla ? 'against the vanilla model' : 'without the vanilla model';
  return `z = ${z.toFixed(2)}, tail ${powerText(log10_tail)}; ${countText(elements)} weights of ${read}${zeros}, ${how}`;
}

const askedText = ({ asked: { wrapper, system, prefix, suffix } }: VerifyReport): string =>
  `${wrapper}${system === null ? '' : ', with a system prompt'}: "${shownText(prefix, 40)}" key "${shownText(suffix, 40)}"`;

const templateText = ({ asked: { chat_template_sha256: digest } }: VerifyReport): string =>
  digest === null ? 'no chat template' : `chat template ${digest.slice(0, 16)}…`;

const digestsText = ({ weights, tokenizer, config }: VerifyReport['suspect_digests']): string =>
  [
    `weights ${weights.slice(0, 16)}…`,
    `tokenizer ${tokenizer.slice(0, 16)}…`,
    `config ${config.slice(0, 16)}…`,
  ].join(', ');

const grinding = ({ log10_p_after_grinding: left }: VerifyReport): string[] =>
  left === null
    ? []
    : [
        `Were the owner thought to have tried 2^80 draws, ${left === 0 ? 'nothing' : `p ≤ ${powerText(left)}`} would be left: this decides.`,
      ];

function section(title: string, lines: readonly string[]): void {
  print(`\n${paint.bold(title)}`);
  for (const line of lines)
    for (const [i, part] of wrapped(line, '    ').entries())
      print(i === 0 ? `  · ${part.trimStart()}` : part);
}
