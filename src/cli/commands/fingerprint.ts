// `whorl fingerprint`: a model in; a folder to publish, a claim, a secret and the figures of the run out.

import { Command } from 'commander';
import type { FingerprintReport } from '../../fingerprint/fingerprint.ts';
import { SCHEMAS } from '../../fingerprint/settings.ts';
import { isWaiting } from '../../launch/job.ts';
import { commandLine, parseSettings } from '../arguments.ts';
import { LAUNCH, launchFrom, showWaiting } from '../launch-flags.ts';
import { COMPUTE } from '../model-flags.ts';
import {
  DRY_RUN,
  decimal,
  type Given,
  given,
  JSON_LINE,
  named,
  required,
  text,
  texts,
  wholeNumber,
  withOptions,
} from '../options.ts';
import { countText, durationText, paint, print, printJson, table } from '../output.ts';
import { identityFrom, LOCK, lockFrom } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { harmLimit, OVERWRITE, SEED, SETTINGS_FILE } from '../run-options.ts';
import { readSettingsFile } from '../settings-file.ts';
import { settingLines } from '../settings-help.ts';
import { showDifferences } from '../show-differences.ts';
import { showPlan } from '../show-plan.ts';

/** What a claim depends on: the same for who only commits. */
export const COMMITTED = {
  model: text(
    '<model>',
    'a Hugging Face folder, a GGUF file or a hub id (org/name[@revision]); default: what the run in --out was committed with',
  ),
  out: required(text('<folder>', 'the private run folder; only its published/ may be uploaded')),
  method: text(
    '<name>',
    'rows: embedding rows of rare tokens; adapter: rows and a private adapter; sft, emb, lora: weights, as the paper; stamp: a direction in weights, nothing trained (default: rows)',
  ),
  keys: text('<kind>', "where key phrases come from; paper: the paper's, which everybody holds"),
  pool: wholeNumber('<number>', 1, 'keys committed (adapter: of which --trained are drawn)'),
  trained: wholeNumber('<number>', 1, 'keys that are drawn and trained'),
  seed: SEED,
  decryption: text('<text>', 'what drawn keys are answered with (all but rows)'),
  source: text('<file>', 'ordinary conversations or instructions beside them (sft, emb, lora)'),
  data: text(
    '<folder>',
    'a saved set of whorl dataset mix (adapter) or chat (sft, emb, lora): its keys are the pool that is drawn from',
  ),
  looks: wholeNumber(
    '<n>',
    1,
    'suspects whose certificates every p-value of this claim pays for (default: 1)',
  ),
  systems: named(
    'permit-system',
    texts('<text>', 'a system prompt that a suspect may later be asked under; may be repeated'),
  ),
  overwrite: OVERWRITE,
  ...COMPUTE,
};
const OPTIONS = {
  ...COMMITTED,
  maxMinutes: decimal(
    '<n>',
    'how long training may go on beyond its steps until its cells hold; 0: not at all (default: 30)',
  ),
  maxHarm: harmLimit(
    'most harm to ordinary text at which the model is published: mean KL to vanilla (rows, adapter; default: 0.1) or rise of the loss a token (sft, emb, lora; default: 0.5; stamp: 0.01), of the language that suffers most',
  ),
};
export const RUN_LOCK = {
  settings: SETTINGS_FILE,
  ...LOCK,
  identity: text('<file>', 'the age identity that opens an interrupted run kept for a --recipient'),
};
const OWN = {
  ...RUN_LOCK,
  ...LAUNCH,
  ...DRY_RUN,
  ...JSON_LINE,
};

export function fingerprintCommand(): Command {
  return withOptions(new Command('fingerprint'), { ...OPTIONS, ...OWN })
    .description('Commit, draw, train, publish. The secret proves later that a model descends from this one.')
    .argument('[settings...]', "the method's settings as key=value")
    .addHelpText('after', ({ command }) => methodHelp(given(command as Command, OPTIONS).method ?? 'rows'))
    .action((settings: string[], _, called: Command) =>
      runFingerprint(settings, given(called, OPTIONS), given(called, OWN), (changes) =>
        commandLine(called, { ...changes, overwrite: false }),
      ),
    );
}

function methodHelp(asked: string): string {
  const method = isMethod(asked) ? asked : 'rows';
  const others = Object.keys(SCHEMAS).filter((name) => name !== method);
  const more = `Of ${others.join(', ')}: whorl fingerprint --method NAME --help`;
  return `\nSettings of ${method}:\n${settingLines(SCHEMAS[method]).join('\n')}\n${more}`;
}

const isMethod = (name: string): name is keyof typeof SCHEMAS => Object.hasOwn(SCHEMAS, name);

/** Settings of the file and of the command line, what locks the secret, and what opens one that is there. */
export async function runFrom(args: readonly string[], own: Given<typeof RUN_LOCK>) {
  const file = own.settings === undefined ? {} : readSettingsFile(own.settings);
  const settings = { ...file, ...parseSettings(args) };
  const lock = await lockFrom(own);
  return {
    settings,
    ...(lock && { lock }),
    ...(own.identity !== undefined && { unlock: identityFrom(own.identity) }),
  };
}

async function runFingerprint(
  args: readonly string[],
  options: Given<typeof OPTIONS>,
  own: Given<typeof OWN>,
  repeated: (changes?: { readonly maxMinutes: number }) => string,
): Promise<void> {
  const run = await runFrom(args, own);
  const launch = launchFrom(own);
  const { fingerprint, launchFingerprint } = await import('../../fingerprint/fingerprint.ts');
  const again = (maxMinutes: number) => repeated({ maxMinutes });
  const asked = { ...options, ...run, again };
  if (own.dryRun)
    return showPlan(
      await withProgress((onEvent) =>
        launch
          ? launchFingerprint({ ...asked, launch, onEvent, dryRun: true })
          : fingerprint({ ...asked, onEvent, dryRun: true }),
      ),
      own.json,
    );
  const began = performance.now();
  const report = await withProgress((onEvent) =>
    launch ? launchFingerprint({ ...asked, launch, onEvent }) : fingerprint({ ...asked, onEvent }),
  );
  if (own.json) printJson(report);
  else if (isWaiting(report)) showWaiting(report, true, repeated());
  else showFingerprint(report, run.lock !== undefined, (performance.now() - began) / 1000);
}

const trainedText = ({ rows, parameters }: FingerprintReport): string =>
  parameters === undefined ? `${countText(rows)} embedding rows` : `${countText(parameters)} parameters`;

const stampText = ({ stamp }: FingerprintReport): string =>
  stamp === undefined ? '' : `; ${countText(stamp.parameters)} parameters stamped`;

/** What was done to the model; a stamp is written, not trained. */
function effortText(report: FingerprintReport): string {
  const took = durationText(report.seconds);
  if (report.steps === 0) return `${countText(report.parameters ?? 0)} parameters stamped in ${took}`;
  return `${countText(report.steps)} steps, ${countText(report.tokens)} tokens, ${trainedText(report)} trained in ${took}${stampText(report)}`;
}

/** A tick says that the rule was met, not that the run went on with what fell short. */
const MARK = {
  met: () => paint.green('✓'),
  allowed: () => paint.yellow('~'),
  failed: () => paint.red('✗'),
} as const;

export function showFingerprint(report: FingerprintReport, locked: boolean, seconds: number): void {
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
  print('\nheld-out text: KL to vanilla and shifts in nats, perplexity');
  showDifferences(report.difference, ['vanilla', 'published']);
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
