// `whorl check`: what a certificate proves, anew from the file alone, offline. Its exit code is the verdict's.

import { createPublicKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Command } from 'commander';
import { checkWritable, writeFileAtomic } from '../../base/atomic.ts';
import { type DryRun, planOf } from '../../base/dry-run.ts';
import { WhorlError } from '../../base/error.ts';
import { isNotThere, systemError } from '../../base/system-errors.ts';
import { writtenOut } from '../../base/unseen.ts';
import type { AskedAgain } from '../../verify/certificate/ask-again.ts';
import type { Bound } from '../../verify/certificate/bound.ts';
import type { Checked } from '../../verify/certificate/check.ts';
import { ENDPOINT, endpointFrom } from '../endpoint-flags.ts';
import { furtherLines } from '../further-lines.ts';
import { COMPUTE } from '../model-flags.ts';
import {
  among,
  DRY_RUN,
  type Given,
  given,
  JSON_LINE,
  refuseAlone,
  text,
  toggle,
  withOptions,
} from '../options.ts';
import { Outcome, paint, powerText, print, printJson, shownText, wrapped } from '../output.ts';
import { withProgress } from '../progress.ts';
import { TSA_ROOT } from '../run-options.ts';
import { showPlan } from '../show-plan.ts';
import { headline, VERDICT_WORDS } from '../verdict-words.ts';

const OPTIONS = {
  key: text('<file>', "the owner's key as you know it (PEM); default: the one that it names"),
  tsaRoot: TSA_ROOT,
  html: text('<file>', 'write a page that shows it, to read and to print'),
  ...DRY_RUN,
  ...JSON_LINE,
};
/** Of asking again. */
const { transcript: _transcript, ...SERVER } = ENDPOINT;
const AGAIN = {
  suspect: text(
    '<model>',
    'ask it again and compare: the folder, file or hub id that it is about, or with --model-name the address of the server',
  ),
  vanilla: text('<model>', 'where the stamp was read against it: the vanilla model as committed'),
  withoutRanks: toggle('leave what was ranked (T6) unasked: scores cost keys × candidates'),
  ...COMPUTE,
  ...SERVER,
};

const MAX_BYTES = 2 ** 28;
/** Characters of what a suspect is bound by: digests in full, and any address that a server has. */
const LONGEST = 512;

export function checkCommand(): Command {
  return withOptions(new Command('check'), { ...OPTIONS, ...AGAIN })
    .description(
      'Replays a certificate offline: signature, root, draw, matches, p and verdict; with --suspect asks again. Exit code: the verdict’s; 1: it does not hold, or the suspect says otherwise.',
    )
    .argument('<certificate>', 'the file that verify --certificate wrote')
    .action((file: string, _, called: Command) =>
      runCheck(file, given(called, OPTIONS), given(called, AGAIN)),
    );
}

async function runCheck(
  file: string,
  { key, html, json, tsaRoot, dryRun }: Given<typeof OPTIONS>,
  { suspect, vanilla, withoutRanks, ...more }: Given<typeof AGAIN>,
): Promise<void> {
  const how = { ...(vanilla !== undefined && { vanilla }), ...(withoutRanks && { withoutRanks }) };
  const { endpoint, compute } = againFrom(suspect, how, more);
  if (html !== undefined) checkWritable(html);
  const { checkCertificate } = await import('../../verify/certificate/check.ts');
  const text = textOf(file);
  const options = {
    ...(key !== undefined && { signer: spkiOf(key) }),
    ...(tsaRoot !== undefined && { tsaRoot }),
  };
  const checked = naming(file, () => checkCertificate(text, options));
  if (dryRun) return showPlan(planned(checked, html, suspect), json);
  if (html !== undefined) {
    const { certificatePage } = await import('../../verify/certificate/page.ts');
    writeFileAtomic(html, certificatePage(checked, VERDICT_WORDS[checked.verdict.verdict].words));
  }
  const { verdict, statement } = checked;
  const again =
    suspect === undefined
      ? undefined
      : await withProgress(async (onEvent) => {
          const { askAgain } = await import('../../verify/certificate/ask-again.ts');
          return askAgain(checked, { suspect, onEvent, ...compute, ...how, ...(endpoint && { endpoint }) });
        });
  if (json)
    printJson({
      ...verdict,
      suspect: statement.predicate.suspect,
      signer: statement.predicate.signer,
      further: checked.further(),
      ...(again && { asked_again: again }),
    });
  else {
    const { askingAgain, boundBy, boundWords } = await import('../../verify/certificate/bound.ts');
    const { predicate } = statement;
    const who = {
      bound: boundBy(predicate),
      words: boundWords(predicate),
      again: askingAgain(checked, file),
    };
    show(checked, key !== undefined, who);
    if (again) showAgain(again);
  }
  if (again && !again.confirmed)
    throw new Outcome(1, `asked again, the suspect gives another word: ${again.verdict.reason}`);
  const { exitCode } = VERDICT_WORDS[verdict.verdict];
  if (exitCode !== 0) throw new Outcome(exitCode, verdict.reason);
}

/** The certificate holds; the page is all that a check leaves. */
const planned = ({ verdict }: Checked, html: string | undefined, suspect: string | undefined): DryRun =>
  planOf('check', {
    writes: html === undefined ? [] : [{ path: html, what: 'a page that shows the certificate' }],
    notes: [
      `the certificate holds; exit code would be ${VERDICT_WORDS[verdict.verdict].exitCode}: ${verdict.reason}`,
      ...(suspect === undefined ? [] : [`${suspect} is not asked: it would be, and then compared`]),
    ],
  });

interface Who {
  readonly bound: readonly Bound[];
  readonly words: string;
  readonly again: { readonly command: string | null; readonly words: string };
}

function show(checked: Checked, known: boolean, { bound, words: binds, again }: Who): void {
  const {
    verdict,
    statement: { predicate },
    claim,
  } = checked;
  const { suspect, software } = predicate;
  print(`${headline(verdict.verdict)}  ${shownText(nameOf(suspect))}`);
  print(`  p ≤ ${powerText(verdict.log10_p!)} by ${verdict.test}`);
  for (const line of wrapped(verdict.reason)) print(paint.dim(line));
  print();
  for (const [name, { hits, of }] of Object.entries(verdict.cells))
    print(`  ${name.padEnd(16)}  ${hits} of ${of}`);
  print(`  claim             ${claim.root}`);
  print(`  time proof        ${shownText(verdict.time_proof)}`);
  for (const line of wrapped(verdict.draw)) print(paint.dim(line));
  const read = verdict.channels?.stamp;
  if (read)
    print(
      `  stamp             z = ${read.z.toFixed(2)}, tail ${powerText(read.log10_tail)}, e = ${powerText(read.log10_e)}`,
    );
  for (const line of furtherLines(checked.further())) print(line);
  for (const [what, values] of bound)
    print(`  ${what.padEnd(16)}  ${values.map((value) => shownText(value, LONGEST)).join(', ') || 'none'}`);
  print(
    `  signed by         ${predicate.signer.slice(0, 64)}… ${known ? '(the key you gave)' : '(give --key to compare)'}`,
  );
  print(
    `  issued            ${predicate.created} by ${shownText(software.name)} ${shownText(software.version)}`,
  );
  const words = [
    binds,
    "That this suspect gave these answers is the signer's word, until somebody asks it again.",
    again.words,
    ...verdict.does_not_say.map((line) => `Does not say ${line}.`),
  ];
  print();
  for (const text of words) {
    for (const line of wrapped(text)) print(paint.dim(line));
    // In one line, to be copied.
    if (text === again.words && again.command !== null) print(`    ${writtenOut(again.command)}`);
  }
}

function againFrom(
  suspect: string | undefined,
  how: Pick<Given<typeof AGAIN>, 'vanilla' | 'withoutRanks'>,
  more: Omit<Given<typeof AGAIN>, 'suspect' | keyof typeof how>,
) {
  const compute = among(more as Given<typeof COMPUTE>, COMPUTE);
  const server = among(more as Given<typeof SERVER>, SERVER);
  if (suspect !== undefined) return { endpoint: endpointFrom(suspect, server), compute };
  refuseAlone({ ...how, ...server }, AGAIN, '--suspect', 'give the suspect to ask again');
  return { endpoint: undefined, compute };
}

function showAgain({ answers, stamp, ranks, differs, verdict, confirmed }: AskedAgain): void {
  print();
  print(`asked again         ${confirmed ? 'the same word' : `another word: ${headline(verdict.verdict)}`}`);
  const { same, of, others } = answers;
  const which = others.length === 0 ? '' : `; others to keys ${others.slice(0, 20).join(', ')}`;
  if (of > 0) print(`  answers           ${same} of ${of} the same${which}`);
  if (stamp) print(`  stamp             z = ${stamp.read.toFixed(2)}, stated ${stamp.stated.toFixed(2)}`);
  if (ranks) {
    const [read, stated] = [ranks.read, ranks.stated].map((p) => (p === null ? 'not counted' : powerText(p)));
    const far =
      ranks.apart === null ? 'are numbers only once' : `are ${ranks.apart.toPrecision(2)} nats apart at most`;
    print(`  ranks             T6: p of one look ${read}, stated ${stated}; scores ${far}`);
  }
  for (const line of differs) print(`  not in the file   ${shownText(line)}`);
}

const nameOf = (suspect: Checked['statement']['predicate']['suspect']): string =>
  'endpoint' in suspect ? `${suspect.model_name} at ${suspect.endpoint}` : suspect.source;

/** Whoever checks many reads which it was. What is wrong with another file says so itself. */
function naming<T>(file: string, check: () => T): T {
  try {
    return check();
  } catch (cause) {
    if (!(cause instanceof WhorlError && /^the (certificate|file)\b/.test(cause.what))) throw cause;
    throw new WhorlError(cause.code, `${file}: ${cause.what}`, cause.fix, { cause });
  }
}

/** @throws WhorlError `missing-file`, `bad-file` */
function textOf(path: string): string {
  try {
    if (statSync(path).size > MAX_BYTES)
      throw new WhorlError('bad-file', `${path} is too large`, 'give the file that was issued');
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    if (!isNotThere(cause)) throw systemError(cause, path, 'reading') ?? cause;
    throw new WhorlError('missing-file', `${path} does not exist`, 'give its path', { cause });
  }
}

function spkiOf(path: string): string {
  try {
    return createPublicKey(textOf(path)).export({ type: 'spki', format: 'der' }).toString('base64');
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    throw new WhorlError('bad-file', `${path} holds no key`, 'give a PEM file', { cause });
  }
}
