// The road of methods that change weights: examples by the epoch, a checkpoint that is measured before it is published.

import type { Claim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { isWaiting, type WaitingJob } from '../launch/job.ts';
import { generateAll } from '../lm/ask.ts';
import { asking, type ModelSpec } from '../lm/open.ts';
import type { Model } from '../models/model.ts';
import { configOptions } from '../models/open-model.ts';
import { randomOf, type Setting, type WeightsSetting } from './begin.ts';
import { type CellResult, type MeasuredCell, measureCells, type WeightsCell } from './cells.ts';
import { type Committed, commit } from './commit.ts';
import { type FingerprintReport, finish, writeAnswers } from './finish.ts';
import type { DrawnContext } from './methods/method.ts';
import { publishCandidate } from './publish-candidate.ts';
import { trainWeights } from './train-weights.ts';

export async function fingerprintWeights(setting: WeightsSetting): Promise<FingerprintReport | WaitingJob> {
  const { run, method, settings, onEvent } = setting;
  const committed = await commit(setting);
  const contents = committed.secret.reveal();
  const context = await method.context(drawnContext(setting, committed), settings);
  const trained = await trainWeights(
    setting,
    (epoch) => method.examples(context, settings, epoch),
    async (candidate) => {
      const cells = await method.cells(context, settings, 'gate');
      return resultsOf(await measured(setting, contents, candidate, cells, true));
    },
    openClaim(contents.claim as Claim, contents).stamp,
  );
  if (isWaiting(trained)) return trained;
  const published = await publishCandidate(setting, contents);
  onEvent({ kind: 'phase', name: 'measuring', detail: 'every cell anew, by greedy decoding' });
  const cells = await method.cells(context, settings, 'report');
  const asked = await measured(setting, contents, run.published, cells, false);
  writeAnswers(run, asked);
  const { parameters } = trained;
  return finish(setting, contents, trained, resultsOf(asked), {
    rows: 0,
    parameters,
    ...published,
    harm: published.perplexity,
  });
}

const resultsOf = (measured: readonly MeasuredCell[]): CellResult[] => measured.map(({ result }) => result);

/** A checkpoint of this run; all of them have the vanilla model's tokenizer. */
const localSpec = ({ tokenizer }: Pick<Setting, 'tokenizer'>, model: string | Model): ModelSpec => ({
  kind: 'model',
  model,
  tokenizer,
});

/** What a run has after its draw, as methods make their own context of it. */
export function drawnContext(
  setting: Pick<Setting, 'run' | 'start' | 'model' | 'device' | 'tokenizer' | 'options' | 'onEvent'>,
  { secret, free }: Pick<Committed, 'secret' | 'free'>,
): DrawnContext {
  const { run, start, model, device, tokenizer, options, onEvent } = setting;
  const contents = secret.reveal();
  return {
    model,
    tokenizer,
    plan: contents.plan,
    roles: keyRoles(openClaim(contents.claim as Claim, contents)),
    random: randomOf(start),
    free,
    keys: options.keys === 'paper' ? 'paper' : 'rare',
    source: options.source,
    conversations: options.conversations,
    ownText: options.ordinary,
    keep: run.conversations,
    askVanilla: (requests) =>
      asking(localSpec(setting, model), { device }, (vanilla) => generateAll(vanilla, requests)),
    onEvent,
  };
}

/** Asks cells of the trained checkpoint or of the vanilla one, as each says. @param strict ends at the first that does not hold */
async function measured(
  setting: WeightsSetting,
  { plan }: SecretContents,
  trained: string,
  cells: readonly WeightsCell[],
  strict: boolean,
): Promise<MeasuredCell[]> {
  const { model, device, tokenizer, options, onEvent } = setting;
  return asking(localSpec(setting, trained), { device, ...configOptions(options) }, (published) =>
    asking(localSpec(setting, model), { device }, (vanilla) => {
      const asked = { published, vanilla };
      return measureCells(cells, {
        tokenizer,
        max_new_tokens: plan.decoding.max_new_tokens,
        answerer: ({ who }) => asked[who],
        strict,
        onMeasured: (done, total, { name }) =>
          onEvent({ kind: 'progress', name: 'measuring', done, total, note: name }),
      });
    }),
  );
}
