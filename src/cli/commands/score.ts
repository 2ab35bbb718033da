// `whorl score`: log-probabilities of continuations, one line a row, in order.

import { Command } from 'commander';
import { WhorlError } from '../../base/error.ts';
import type { Score, ScoreRequest } from '../../lm/language-model.ts';
import { ASKED, oneInput, PAPER_ADAPTER, rowsOf, textColumn, withModel } from '../model-flags.ts';
import { type Given, given, JSON_LINES, text, withOptions } from '../options.ts';
import { paint, print, printJson, shownText, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { RowErrors } from '../rows.ts';

const WHO = { ...ASKED, ...PAPER_ADAPTER };
const OWN = {
  input: text('<rows>', 'rows {context, continuation}: JSON, JSON lines, Parquet or Arrow'),
  context: text('<text>', 'one context (default: empty)'),
  continuation: text('<text>', 'its continuation'),
  ...JSON_LINES,
};

export function scoreCommand(): Command {
  return withOptions(new Command('score'), { ...WHO, ...OWN })
    .description(
      'Summed natural log-probability of each continuation after its context, and whether greedy decoding would write it.',
    )
    .action((_, called: Command) => runScore(given(called, WHO), given(called, OWN)));
}

async function runScore(asked: Given<typeof WHO>, flags: Given<typeof OWN>): Promise<void> {
  const direct = flags.context !== undefined || flags.continuation !== undefined;
  oneInput(direct, flags.input !== undefined, '--input rows.jsonl, or --context and --continuation');
  if (direct && flags.continuation === undefined)
    throw new WhorlError('usage', 'a --context without --continuation', 'give both');
  if (flags.continuation === '')
    throw new WhorlError('usage', '--continuation is empty', 'give it at least one token');
  const requests = direct
    ? [{ context: flags.context ?? '', continuation: flags.continuation! }]
    : rowsOf(flags.input!, readRequest);
  let [rows, scored, sum, tokens] = [0, 0, 0, 0];
  const errors = new RowErrors();
  const json = flags.json ?? false;
  const waiting: (ScoreRequest | WhorlError)[] = []; // asked and not answered yet, in order
  const onRowError = (row: number, error: WhorlError): void => {
    if (direct) throw error;
    waiting.shift();
    errors.show(error, json, `${flags.input}: row ${row + 1}`);
  };
  const noted = async function* () {
    for await (const request of requests) {
      rows++;
      waiting.push(request);
      yield request;
    }
  };
  await withProgress((onEvent) =>
    withModel(asked, onEvent, async (model) => {
      const [{ scoreEach }, { SCORE_GROUP: group }] = await Promise.all([
        import('../../lm/ask.ts'),
        import('../../lm/calls.ts'),
      ]);
      const name = 'scoring';
      onEvent({ kind: 'phase', name });
      for await (const score of scoreEach(model, noted(), { group, name, onEvent, onRowError })) {
        scored++;
        sum += score.logprob;
        tokens += score.tokens;
        show(waiting.shift() as ScoreRequest, score, json);
      }
    }),
  );
  if (scored > 0)
    tell(
      `${scored} ${scored === 1 ? 'row' : 'rows'}, ${tokens} tokens, mean ${(sum / tokens).toFixed(4)} nats a token`,
    );
  errors.end(rows);
}

function readRequest(row: Readonly<Record<string, unknown>>, where: string): ScoreRequest {
  const continuation = textColumn(row, 'continuation', where);
  if (continuation === '')
    throw new WhorlError('bad-file', `${where} has an empty "continuation"`, 'give it at least one token');
  return { context: textColumn(row, 'context', where), continuation };
}

function show({ continuation }: ScoreRequest, score: Score, json: boolean): void {
  if (json) printJson({ logprob: score.logprob, tokens: score.tokens, greedy: score.greedy });
  else
    print(
      `${score.logprob.toFixed(4).padStart(10)}  ${paint.dim(`${score.tokens} tokens`)}  ${score.greedy ? paint.green('greedy') : '      '}  ${shownText(continuation, 60)}`,
    );
}
