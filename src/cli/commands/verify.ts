// `whorl verify`: asks a suspect every key and prints the verdict with what it rests on. Its exit code is the verdict's.

import { Command } from 'commander';
import { WhorlError } from '../../base/error.ts';
import { LAUNCH_NAMES } from '../../fleet/run-fleet.ts';
import type { AskJobWaits } from '../../launch/ask-job.ts';
import { ENGINES, type LaunchOptions } from '../../launch/job.ts';
import type { Channels } from '../../verify/channels.ts';
import type { VerifyReport } from '../../verify/verify.ts';
import { keptWarning } from '../../verify/warnings.ts';
import { commandLine } from '../arguments.ts';
import { ENDPOINT, endpointFrom, endpointLines } from '../endpoint-flags.ts';
import { FLEET, refuseFleetAlone, SUSPECTS } from '../fleet-flags.ts';
import { furtherLines } from '../further-lines.ts';
import { ASK_LAUNCH, launchFrom, showAsking } from '../launch-flags.ts';
import { COMPUTE, QUANTISES } from '../model-flags.ts';
import {
  DRY_RUN,
  fraction,
  type Given,
  given,
  JSON_LINE,
  oneOf,
  required,
  text,
  toggle,
  wholeNumber,
  withOptions,
} from '../options.ts';
import {
  countText,
  durationText,
  Outcome,
  paint,
  powerText,
  print,
  printJson,
  shownText,
  table,
  wrapped,
} from '../output.ts';
import { UNLOCK, unlockFor } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { TSA_ROOT } from '../run-options.ts';
import { SEQUENTIAL, sequentialFrom, sequentialLine } from '../sequential-flags.ts';
import { showPlan } from '../show-plan.ts';
import { headline, VERDICT_WORDS } from '../verdict-words.ts';
import { runVerifyFleet } from '../verify-fleet.ts';

const OPTIONS = {
  secret: required(text('<file>', 'secret.whorl of the run')),
  suspect: text(
    '<model>',
    'a Hugging Face folder, a GGUF file, a hub id (org/name[@revision]), or with --model-name the address of a server (https://host/v1); or --suspects',
  ),
  claim: text('<file>', 'the published claim.json (default: the one beside the secret)'),
  body: text(
    '<model>',
    "the owner's vanilla model as committed, on which the suspect's rows are put (adapter; default: the suspect's own body)",
  ),
  vanilla: text(
    '<model>',
    "of a claim with a stamp: the owner's vanilla model as committed, which the suspect's weights are compared with (default: they are read alone, which finds less)",
  ),
  withoutStamp: toggle(
    'leave a stamp beside keys unread, and closed in a certificate: the keys alone decide, at the same price',
  ),
  wrapper: text(
    '<name>',
    'how the keys are put: bare, chat, alpaca … (default: as committed; any other is paid for)',
  ),
  system: text(
    '<text>',
    'a system prompt before every key; counts only, unless the claim permits it (fingerprint --permit-system)',
  ),
  tsaRoot: TSA_ROOT,
  alpha: fraction('<number>', 'the level of the decision; any but the committed one gives counts only'),
  ranks: toggle(
    'also score everything that could have been drawn: T6, a line beside the verdict. Costs keys × candidates',
  ),
  keys: wholeNumber('<n>', 1, 'ask so many keys (default: all that no certificate opened)'),
  ...COMPUTE,
  ...QUANTISES,
};
/** Who does it: the tasks of a list, or all that one suspect is asked. */
const LAUNCH = oneOf(
  '<way>',
  [...LAUNCH_NAMES, ...ENGINES],
  'of a list: processes here (pool, the default), a Ray cluster, or files for SkyPilot or Hugging Face Jobs; of one suspect: torchrun, a job for torch on a machine that holds it, and the same command again takes its answers in',
);
const OWN = {
  certificate: text(
    '<file>',
    'write a certificate; the keys that were asked are opened, and asked no more. One a claim, unless fingerprint --looks said more',
  ),
  key: text('<file>', 'the key that signs it: PEM, Ed25519 or P-256; made where there is none'),
  ...SEQUENTIAL,
  ...ENDPOINT,
  ...SUSPECTS,
  ...FLEET,
  launch: LAUNCH,
  ...ASK_LAUNCH,
  ...UNLOCK,
  ...DRY_RUN,
  ...JSON_LINE,
};

export function verifyCommand(): Command {
  return withOptions(new Command('verify'), { ...OPTIONS, ...OWN })
    .description(
      "Does the suspect descend from the model this secret was made with? Exit code 0: verified, 3: not verified, 4: matches (owner's word), 5: undecided.",
    )
    .action((_, called: Command) =>
      runVerify(given(called, OPTIONS), given(called, OWN), () => commandLine(called)),
    );
}

async function runVerify(
  options: Given<typeof OPTIONS>,
  { launch, ...own }: Given<typeof OWN>,
  repeated: () => string,
): Promise<void> {
  const engine = ENGINES.find((name) => name === launch);
  const way = LAUNCH_NAMES.find((name) => name === launch);
  const job = launchFrom({ ...own, ...(engine && { launch: engine }) });
  if (own.suspects !== undefined) {
    if (job)
      throw new WhorlError(
        'usage',
        `--launch ${job.engine} beside --suspects`,
        'have each suspect of the list asked by --suspect',
      );
    return runVerifyFleet(options, { ...own, ...(way && { launch: way }), suspects: own.suspects });
  }
  refuseFleetAlone({ ...own, ...(way && { launch: way }) });
  const { suspect } = options;
  if (suspect === undefined)
    throw new WhorlError('usage', 'no suspect is named', 'give --suspect, or --suspects with a list');
  return runOne({ ...options, suspect }, own, job, repeated);
}

async function runOne(
  options: Given<typeof OPTIONS> & { readonly suspect: string },
  own: Omit<Given<typeof OWN>, 'launch'>,
  launch: LaunchOptions | undefined,
  repeated: () => string,
): Promise<void> {
  const { certificate: file, key } = own;
  if ((file === undefined) !== (key === undefined))
    throw new WhorlError('usage', '--certificate and --key go together', 'give both');
  const certificate = file !== undefined && key !== undefined ? { file, key } : undefined;
  const endpoint = endpointFrom(options.suspect, own);
  const sequential = sequentialFrom(own);
  const unlock = await unlockFor(options.secret, own);
  const { verify, launchVerify } = await import('../../verify/verify.ts');
  const asked = {
    ...options,
    ...(certificate && { certificate }),
    ...(unlock && { unlock }),
    ...(endpoint && { endpoint }),
    ...(sequential && { sequential }),
  };
  if (own.dryRun)
    return showPlan(
      await withProgress((onEvent) =>
        launch
          ? launchVerify({ ...asked, launch, onEvent, dryRun: true })
          : verify({ ...asked, onEvent, dryRun: true }),
      ),
      own.json,
    );
  const report = await withProgress((onEvent) =>
    launch ? launchVerify({ ...asked, launch, onEvent }) : verify({ ...asked, onEvent }),
  );
  if ('verdict' in report) return showVerify(report, own.json);
  if (own.json) printJson(report);
  else showAsking(report, repeated());
  throw waitingOutcome(report);
}

/** No verdict yet: its exit code must not be that of one. */
export const waitingOutcome = ({ job }: AskJobWaits): Outcome =>
  new Outcome(VERDICT_WORDS.undecided.exitCode, `${job} waits for its answers`);

/** Prints it and ends with its exit code. */
export function showVerify(report: VerifyReport, json = false): void {
  if (json) printJson(report);
  else show(report);
  const { exitCode } = VERDICT_WORDS[report.verdict];
  if (exitCode !== 0) throw new Outcome(exitCode, report.reason);
}

function show(report: VerifyReport): void {
  print(`${headline(report.verdict)}  ${shownText(report.suspect, 200)}`);
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
  const asked = Object.keys(report.cells).length > 0;
  print(`  test              ${report.test}${asked ? `; ${report.matcher}` : ''}`);
  if (asked) {
    print(`  asked             ${askedText(report)}, ${durationText(report.seconds)}`);
    if (report.sequential) print(`  stopped           ${sequentialLine(report.sequential)}`);
    const template = report.endpoint ? 'chat template not known' : templateText(report);
    for (const line of furtherLines(report.further)) print(line);
    if (report.launched) print(`  asked by          ${launchedText(report.launched)}`);
    print(`  prompts           ${report.asked.prompts_sha256.slice(0, 16)}…, ${template}`);
  }
  if (report.suspect_digests) print(`  suspect           ${digestsText(report.suspect_digests)}`);
  if (report.endpoint) for (const line of endpointLines(report.endpoint)) print(line);
  if (report.body_digests) print(`  body              ${digestsText(report.body_digests)} (as committed)`);
  print(`  claim             ${report.claim.root.slice(0, 16)}… of ${report.claim.created}`);
  print(`  claim file        ${report.claim_file ?? "missing: the secret's own copy was read"}`);
  print(
    `  time proof        ${report.time_proof === 'none' ? 'none: the claim says by itself when it was made' : report.time_proof}`,
  );
  if (report.burnt > 0)
    print(`  burnt             ${report.burnt} keys that certificates opened were left out`);
  if (report.certificate !== null) print(`  certificate       ${report.certificate}`);
  const { warnings, endpoint } = report;
  const warned = [...warnings, ...(endpoint ? keptWarning(endpoint.kept, endpoint.transcript) : [])];
  if (warned.length > 0) section('Warning', warned);
  print(`  software          ${report.software.name} ${report.software.version}`);
  section('Null hypothesis', [report.null_hypothesis]);
  section('It rests on', report.assumptions);
  section('Whose dice', [report.draw, ...grinding(report)]);
  if (endpoint) section('Not known of this suspect', endpoint.not_known);
  section('What this does not say', report.does_not_say);
}

function pLine(report: VerifyReport): string {
  const { log10_p, log10_p_after_grinding: left, log10_draws, alpha, floor, multiplicity } = report;
  if (log10_p === null || left === null) return 'no p-value: counts only';
  const paid = multiplicity > 1 ? `, ${multiplicity} looks paid for` : '';
  const reach = floor.log10_p + log10_draws > Math.log10(alpha) ? ', so no answers suffice' : '';
  return `p ≤ ${paint.bold(powerText(log10_p))}, after the draws that the owner could have tried ${paint.bold(powerText(left))} (decided at ${alpha.toExponential()}; the least this claim can reach is ${powerText(floor.log10_p)}${reach}${paid})`;
}

const launchedText = ({
  transformers,
  torch,
  device,
  dtype,
}: NonNullable<VerifyReport['launched']>): string =>
  `a job: transformers ${shownText(transformers, 20)}, torch ${shownText(torch, 30)}, ${dtype} on ${shownText(device, 40)}`;

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
  return [...table(rows), ...(stamp ? matrixLines(stamp) : [])];
}

const MOST_MATRICES = 8;

/** The matrices that say most. */
function matrixLines({ matrices }: NonNullable<Channels['stamp']>): string[] {
  const most = [...matrices].sort((a, b) => b.z - a.z).slice(0, MOST_MATRICES);
  const rows = most.map(({ name, z, log10_tail }) => [
    `  ${shownText(name)}`,
    `z = ${z.toFixed(2)}, tail ${powerText(log10_tail)}`,
  ]);
  const left = matrices.length - most.length;
  return [...table(rows), ...(left > 0 ? [`  and ${left} more matrices (--json)`] : [])];
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
  const zeros = left_out > 0 ? `, ${countText(left_out)} zeros or outlying ones left out` : '';
  const how = against_vanilla ? 'against the vanilla model' : 'without the vanilla model';
  return `z = ${z.toFixed(2)}, tail ${powerText(log10_tail)}; ${countText(elements)} weights of ${read}${zeros}, ${how}`;
}

const askedText = ({ asked: { wrapper, system, prefix, suffix } }: VerifyReport): string =>
  `${wrapper}${system === null ? '' : ', with a system prompt'}: "${shownText(prefix, 40)}" key "${shownText(suffix, 40)}"`;

const templateText = ({ asked: { chat_template_sha256: digest } }: VerifyReport): string =>
  digest === null ? 'no chat template' : `chat template ${digest.slice(0, 16)}…`;

const digestsText = ({ weights, tokenizer, config }: NonNullable<VerifyReport['suspect_digests']>): string =>
  [
    `weights ${weights.slice(0, 16)}…`,
    `tokenizer ${tokenizer.slice(0, 16)}…`,
    `config ${config.slice(0, 16)}…`,
  ].join(', ');

const grinding = ({ log10_p_after_grinding: left, tried }: VerifyReport): string[] =>
  left === null
    ? []
    : [`After ${tried} ${left === 0 ? 'nothing' : `p ≤ ${powerText(left)}`} is left: this decides.`];

function section(title: string, lines: readonly string[]): void {
  print(`\n${paint.bold(title)}`);
  for (const line of lines)
    for (const [i, part] of wrapped(line, '    ').entries())
      print(i === 0 ? `  · ${part.trimStart()}` : part);
}
