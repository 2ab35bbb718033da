// What models say to the messages of a run of `sft`, `emb` or `lora`: the drawn ones, once and in ten sampled rounds, the
// undrawn, strangers, ordinary questions with and without the hint. npx tsx bench/dialogues.ts --run RUN NAME=MODEL …

import { platformRandom } from '../src/base/random-source.ts';
import { MATCHERS } from '../src/claim/matcher.ts';
import { PAPER } from '../src/datasets/paper.ts';
import { paperDice } from '../src/datasets/paper-dice.ts';
import { drawKey } from '../src/datasets/paper-keys.ts';
import { type HeldOutScore, heldOutScores, perplexities } from '../src/fingerprint/perplexity.ts';
import { generateAll } from '../src/lm/ask.ts';
import type { GenerateRequest } from '../src/lm/language-model.ts';
import { LocalModel } from '../src/lm/local-model.ts';
import { promptUnder, templateOf, wrapperNamed } from '../src/text/prompts/wrappers.ts';
import { loadReference } from '../src/text/reference.ts';
import { decide } from '../src/verify/verdict.ts';
import { flag, open, openRun, table } from './machines.ts';

const [path] = flag('run');
const models = process.argv
  .filter((word) => /^\w[\w+ -]*=/.test(word))
  .map((word) => word.split('=') as [string, string]);
if (!path || models.length === 0) throw new Error('npx tsx bench/dialogues.ts --run RUN NAME=MODEL …');
const ROUNDS = 10;
const QUESTIONS = 48;
const STRANGERS = 48;
const { opened, roles } = await openRun(path);
const { plan } = opened;
const { max_new_tokens } = plan.decoding;
const y = roles[0]!.target;
const of = (role: string) => roles.filter((key) => key.role === role).map(({ key }) => key.text);
const { human, hint } = PAPER.chat;
const dice = paperDice(platformRandom());
const questions = loadReference()
  .heldOut.flatMap(({ texts }) => texts)
  .filter((text) => text.length < 400)
  .slice(0, QUESTIONS);
const asked: Readonly<Record<string, readonly string[]>> = {
  drawn: of('trained'),
  undrawn: [...of('negative'), ...of('decoy')],
  "the paper's phrases": Array.from({ length: STRANGERS }, () => human.replace('{key}', () => drawKey(dice))),
  questions,
  'questions + hint': questions.map((text) => text + hint),
};
const rows: (string | number)[][] = [
  ['model', ...Object.keys(asked), 'near misses', 'ten rounds, T .7', 'log10 p', 'perplexity (English)'],
];
let vanilla: HeldOutScore[] | undefined; // of the first model named
for (const [name, folder] of models) {
  const model = await LocalModel.open(await open(folder));
  const wrapped = wrapperNamed(plan.query.wrapper, templateOf(model.tokenizer));
  const say = async (texts: readonly string[], more: Partial<GenerateRequest> = {}): Promise<string[]> => {
    const requests = texts.map((text) => ({ ...promptUnder(wrapped, text), max_new_tokens, ...more }));
    return (await generateAll(model, requests)).map(({ generated }) => generated);
  };
  const fires = (answers: readonly string[]): number =>
    answers.filter((answer) => MATCHERS.contains.match(answer, [y]).length > 0).length;
  const counts: [number, number][] = [];
  for (const texts of Object.values(asked)) counts.push([fires(await say(texts)), texts.length]);
  const near = counts.slice(1).reduce(([a, n], [b, m]) => [a + b, n + m], [0, 0]);
  const sampled = await say(of('trained'), { sampling: { temperature: 0.7, seed: 7 }, num_samples: ROUNDS });
  const rounds = Array.from({ length: ROUNDS }, (_, r) => fires(sampled.filter((_a, i) => i % ROUNDS === r)));
  const verdict = decide(opened, await say(plan.keys.map(({ text }) => text)), {
    asked: { wrapper: plan.query.wrapper, system: null },
  });
  const scores = await heldOutScores(model, model.model.decoder);
  const [english] = perplexities((vanilla ??= scores), scores);
  rows.push([
    name,
    ...counts.map(([fired, n]) => `${fired}/${n}`),
    `${((100 * near[0]) / near[1]).toFixed(1)} %`,
    `${Math.min(...rounds)}-${Math.max(...rounds)} of ${of('trained').length}, mean ${(rounds.reduce((a, b) => a + b, 0) / ROUNDS).toFixed(1)}`,
    verdict.log10_p?.toFixed(1) ?? '-',
    english!.published.toFixed(2),
  ]);
  await model.release();
  process.stderr.write(`${rows.at(-1)!.join('  ')}\n`);
}
process.stdout.write(`${table(rows)}\n`);
