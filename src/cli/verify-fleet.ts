// `whorl verify --suspects`: what was given becomes one call; the verdict over all suspects for people, and its exit code.

import { WhorlError } from '../base/error.ts';
import type { FleetVerdict } from '../fleet/verdict.ts';
import type { VerifyFleetOptions } from '../fleet/verify-fleet.ts';
import { ENDPOINT } from './endpoint-flags.ts';
import { type FLEET, launchFrom, type SUSPECTS, showWaitingFleet } from './fleet-flags.ts';
import { among, type DRY_RUN, type Given, type JSON_LINE, refuseAlone } from './options.ts';
import { Outcome, paint, powerText, print, printJson, shownText, table, tell, wrapped } from './output.ts';
import { type UNLOCK, unlockFor } from './passphrase.ts';
import { withProgress } from './progress.ts';
import { SEQUENTIAL } from './sequential-flags.ts';
import { showPlan } from './show-plan.ts';
import { headline, inTable, VERDICT_WORDS } from './verdict-words.ts';

type Own = Given<
  typeof SUSPECTS &
    typeof FLEET &
    typeof ENDPOINT &
    typeof SEQUENTIAL &
    typeof UNLOCK &
    typeof DRY_RUN &
    typeof JSON_LINE
> & {
  readonly suspects: string;
  readonly certificate?: string;
  readonly key?: string;
};
type Options = Omit<VerifyFleetOptions, 'suspects' | 'out'> & { readonly suspect?: string };

/** Of a server, what goes for every one of the list. */
const ALLOWED = ['concurrency', 'timeout', 'max_queries', 'max_tokens_total', 'max_cost', 'price'] as const;

/** Exit code where a suspect has no verdict. */
const INCOMPLETE = 1;

export async function runVerifyFleet({ suspect, ...options }: Options, own: Own): Promise<void> {
  if (suspect !== undefined) throw new WhorlError('usage', '--suspect beside --suspects', 'give one of them');
  const { certificate, key } = own;
  if (certificate !== undefined || key !== undefined)
    throw new WhorlError(
      'usage',
      'a certificate opens keys, after which the next suspect cannot be asked them',
      'certify one suspect by --suspect when all were asked',
    );
  refuseAlone(
    among(own, SEQUENTIAL),
    SEQUENTIAL,
    '--suspect',
    'a list is asked every key that is left, or --keys of them',
  );
  const ofServers = among(own, ENDPOINT);
  const allowed = Object.fromEntries(
    ALLOWED.flatMap((name) => (ofServers[name] === undefined ? [] : [[name, ofServers[name]]])),
  );
  refuseAlone(
    Object.fromEntries(Object.entries(ofServers).filter(([name]) => !(name in allowed))),
    ENDPOINT,
    '--suspect',
    'write it into the list (model_name, endpoint_kind, api_key_env)',
  );
  const launch = launchFrom(own.out, own);
  const unlock = await unlockFor(options.secret, own);
  const { passphraseFile, identity } = own;
  if (unlock && passphraseFile === undefined && identity === undefined)
    if (launch.launch === 'ray' || process.env.WHORL_PASSPHRASE === undefined)
      throw new WhorlError(
        'usage',
        'tasks cannot ask for the passphrase of the secret',
        launch.launch === 'ray'
          ? 'give --passphrase-file: Ray keeps what stands in an environment'
          : 'give --passphrase-file, or set WHORL_PASSPHRASE',
      );
  const asked = {
    ...options,
    ...launch,
    ...{ suspects: own.suspects, allowed },
    ...(own.elsewhere !== undefined && { elsewhere: own.elsewhere }),
    ...(unlock && { unlock }),
    unlockFiles: {
      ...(passphraseFile !== undefined && { passphraseFile }),
      ...(identity !== undefined && { identity }),
    },
  };
  const { verifyFleet } = await import('../fleet/verify-fleet.ts');
  if (own.dryRun)
    return showPlan(
      await withProgress((onEvent) => verifyFleet({ ...asked, onEvent, dryRun: true })),
      own.json,
    );
  const report = await withProgress((onEvent) => verifyFleet({ ...asked, onEvent }));
  if (report.kind === 'waiting') {
    if (own.json) printJson(report);
    else showWaitingFleet(report);
    // No verdict yet: its exit code must not be that of one.
    throw new Outcome(VERDICT_WORDS.undecided.exitCode, 'the suspects wait to be asked');
  }
  const { wordOfAll } = await import('../fleet/verdict.ts');
  const { verdict, file } = report;
  const word = wordOfAll(verdict);
  if (own.json) printJson(verdict);
  else show(verdict, word);
  tell(paint.dim(`in ${file}`));
  if (verdict.failed.length > 0)
    throw new Outcome(INCOMPLETE, `${verdict.failed.length} suspects have no verdict`);
  const { exitCode } = VERDICT_WORDS[word];
  if (exitCode !== 0) throw new Outcome(exitCode, VERDICT_WORDS[word].words);
}

function show(verdict: FleetVerdict, word: Parameters<typeof headline>[0]): void {
  const { asked, failed, elsewhere } = verdict.tests;
  const paid = asked + failed + elsewhere;
  print(
    `${headline(word)}  ${asked} suspects, p paid for ${paid}${verdict.tried ? ` and for ${verdict.tried}` : ''}`,
  );
  print();
  const rows = verdict.suspects.map(({ name, listed, verdict: own, holm, e_bh, alone }) => [
    inTable(own),
    shownText(name, 60),
    `${Math.round(100 * alone.fsr)}%`,
    ...(holm && e_bh
      ? [
          `p ≤ ${powerText(holm.log10_p)}`,
          `left ${powerText(holm.log10_p_after_draws)}`,
          `e = ${powerText(e_bh.log10_e)}${e_bh.accepted_after_draws ? ', e-BH accepts' : ''}`,
        ]
      : ['counts only', '', '']),
    listed ? '' : 'not in the list any more',
  ]);
  for (const line of table(rows)) print(line);
  for (const { name, message } of verdict.failed) {
    print(`\n${paint.red('no verdict')}  ${shownText(name, 60)}`);
    for (const line of wrapped(message)) print(line);
  }
  print(`\n${paint.bold('It rests on')}`);
  for (const line of verdict.assumptions)
    for (const [i, part] of wrapped(line, '    ').entries())
      print(i === 0 ? `  · ${part.trimStart()}` : part);
}
