// A certificate as one page for people who read paper: no script, nothing fetched, black on white when printed.

import { writtenOut } from '../../base/unseen.ts';
import type { FurtherTest } from '../further.ts';
import type { StampReading } from '../stamp.ts';
import { askingAgain, boundBy, boundWords } from './bound.ts';
import type { Checked } from './check.ts';

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
/** Unseen characters are written out: what stands on paper must be what was asked, and nothing may turn its line round. */
const safe = (text: string): string => writtenOut(text).replace(/[&<>"']/g, (char) => ESCAPES[char]!);
const shown = (text: string): string => safe(JSON.stringify(text).slice(1, -1));
const rows = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([name, value]) => `<tr><th>${safe(name)}</th><td>${value}</td></tr>`).join('\n');
const code = (text: string): string => `<code>${safe(text)}</code>`;
const list = (lines: readonly string[]): string =>
  `<ul>${lines.map((line) => `<li>${safe(line)}</li>`).join('')}</ul>`;

const STYLE = `body{font:11pt/1.45 Georgia,serif;color:#111;background:#fff;max-width:46rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin:0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem;border-bottom:1px solid #999}
.word{font-size:1.4rem;border:2px solid;padding:.4rem .8rem;display:inline-block;margin:1rem 0}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.15rem .5rem .15rem 0;font-weight:normal}
th{width:11rem;color:#555}code{font:9pt/1.4 monospace;overflow-wrap:anywhere}
.exchanges td,.exchanges th{border-top:1px solid #ddd;width:auto}tr{break-inside:avoid}
@page{margin:2cm}@media print{body{margin:0;max-width:none;font-size:10pt}}`;

/** @param words the verdict's, as every other place says it */
export function certificatePage(checked: Checked, words: string): string {
  const {
    statement: { predicate },
    claim,
    verdict,
  } = checked;
  const again = askingAgain(checked, 'CERTIFICATE');
  const further = checked.further();
  const { asked, transcript, software, signer, created } = predicate;
  const stamp = verdict.channels?.stamp;
  const cells = Object.entries(verdict.cells).map(
    ([name, { hits, of }]) => [name, `${hits} of ${of}`] as const,
  );
  const exchanges = transcript.map(
    ({ prompt, answer }, i) =>
      `<tr><td>${asked.from + i}</td><td><code>${shown(prompt)}</code></td><td><code>${shown(answer)}</code></td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Certificate: ${safe(words)}</title><style>${STYLE}</style></head><body>
<h1>Certificate about the descent of a language model</h1>
<p class="word">${safe(words)}</p>
<p>${safe(verdict.reason)}</p>
<h2>What was measured</h2>
<table>${rows([
    ...cells,
    ...(stamp ? ofStamp(stamp) : []),
    ['p', `at most ${power(verdict.log10_p!)}, for ${verdict.multiplicity} looks`],
    ['exactly, one look', code(`${predicate.result.p.numerator} / ${predicate.result.p.denominator}`)],
    ['level', `${claim.alpha}, as committed`],
    ['paid for', safe(verdict.tried)],
    ['test', safe(verdict.test)],
    ['matcher', safe(verdict.matcher)],
  ])}</table>
${further.length === 0 ? '' : `<p>Other tests of the same answers, which give no word:</p>\n<table>${rows(further.map(ofFurther))}</table>`}
<h2>Of whom</h2>
<table>${rows(boundBy(predicate).map(([what, values]) => [what, of(values)] as const))}</table>
<p>${safe(boundWords(predicate))}</p>
<p>That this suspect gave these answers${stamp ? ' and has these weights' : ''} is the signer's word, until somebody asks it again. ${safe(again.words)}</p>
${again.command === null ? '' : `<p>${code(again.command)}</p>`}
<h2>By whom, and when</h2>
<table>${rows([
    ['claim', code(claim.root)],
    ['claimed', safe(claim.created)],
    ['dice', safe(verdict.draw)],
    ['key', code(signer)],
    ['issued', safe(created)],
    ['software', `${safe(software.name)} ${safe(software.version)} ${code(software.digest)}`],
  ])}</table>
<h2>Null hypothesis</h2><p>${safe(verdict.null_hypothesis)}</p>
<h2>It rests on</h2>${list(verdict.assumptions)}
<h2>What this does not say</h2>${list(verdict.does_not_say)}
${exchanges.length === 0 ? '' : questions(exchanges)}
</body></html>
`;
}

const questions = (exchanges: readonly string[]): string => `<h2>Questions and answers</h2>
<table class="exchanges"><tr><th>key</th><th>asked</th><th>answered</th></tr>
${exchanges.join('\n')}</table>`;

const of = (values: readonly string[]): string =>
  values.length === 0 ? 'none' : values.map((value) => `<code>${shown(value)}</code>`).join('<br>');

const power = (log10: number): string => `10<sup>${(Math.ceil(log10 * 10) / 10).toFixed(1)}</sup>`;

const ofFurther = ({ test, log10_p, decoys: { reached, of: all } }: FurtherTest): [string, string] => [
  test,
  `${log10_p === null ? 'not counted' : `p at most ${power(log10_p)}`}; ${reached} of ${all} decoy secrets reach as much`,
];

const ofStamp = ({
  z,
  log10_tail,
  log10_e,
  matrices,
  not_read,
  against_vanilla,
}: StampReading): [string, string][] => [
  [
    'stamp in weights',
    `z = ${z.toFixed(2)}, tail 10<sup>${log10_tail.toFixed(1)}</sup>, e = 10<sup>${log10_e.toFixed(1)}</sup>`,
  ],
  [
    'read',
    `${matrices.length} of ${matrices.length + not_read.length} matrices, ${against_vanilla ? 'against the vanilla model' : 'without the vanilla model'}`,
  ],
];
