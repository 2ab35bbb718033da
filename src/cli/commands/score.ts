// `whorl score`: log-probabilities of continuations, one line a row, in order.

import { Command } from 'commander';
import { WhorlError } from '../../base/error.ts';
import { answeredRows } from '../../lm/answered-rows.ts';
import type { Score, ScoreRequest } from '../../lm/language-model.ts';
import {
  type ModelFlags,
  oneInput,
  rowGroups,
  textColumn,
  withModel,
  withModelFlags,
} from '../model-flags.ts';
import { paint, print, printJson, shownText, tell } from '../output.ts';
import { withProgress } from '../progress.ts';
import { RowErrors } from '../rows.ts';

interface ScoreFlags extends ModelFlags {
  input?: string;
  context?: string;
  continuation?: string;
  json?: boolean;
}

interface Scored {
  readonly index: number;
  readonly score: Score;
}

const GROUP = 1024;

export function scoreCommand(): Command {
  return withModelFlags(new Command('score'))
    .description(
      'Summed natural log-probability of each continuation after its context, and whether greedy decoding would write it.',
    )
    .option('--input <rows>', 'rows {context, continuation}: JSON, JSON lines, Parquet or Arrow')
    .option('--context <text>', 'one context (default: empty)')
    .option('--continuation <text>', 'its continuation')
    .option('--json', 'JSON lines on stdout and nothing else')
    .action((flags: ScoreFlags) => runScore(flags));
}

async function runScore(flags: ScoreFlags): Promise<void> {
  const direct = flags.context !== undefined || flags.continuation !== undefined;
  oneInput(direct, flags.input !== undefined, '--input rows.jsonl, or --context and --continuation');
  if (direct && flags.continuation === undefined)
    throw new WhorlError('usage', 'a --context without --continuation', 'give both');
  const groups = direct
    ? [[{ context: flags.context ?? '', continuation: flags.continuation! }]]
    : rowGroups(flags.input!, readRequest, GROUP);
  let [rows, scored, sum, tokens] = [0, 0, 0, 0];
  const errors = new RowErrors();
  const json = flags.json ?? false;
  await withProgress((onEvent) =>
    withModel(flags, onEvent, async (model) => {
      onEvent({ kind: 'phase', name: 'scoring' });
      let known = 0;
      for await (const group of groups) {
        known += group.length;
        const answer = (asked: readonly ScoreRequest[]) => model.scoreRows(asked);
        const before = rows;
        for await (const { row, result } of answeredRows<ScoreRequest, Scored>(group, 1, answer)) {
          onEvent({ kind: 'progress', name: 'scoring', done: ++rows, total: known });
          if (result instanceof WhorlError) {
            if (direct) throw result;
            errors.show(result, json, `${flags.input}: row ${before + row + 1}`);
            continue;
          }
          scored++;
          sum += result.score.logprob;
          tokens += result.score.tokens;
          show(group[row] as ScoreRequest, result.score, json);
        }
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
