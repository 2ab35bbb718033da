// The road of methods that change weights: dialogues of drawn messages among ordinary ones, a checkpoint that is measured
// before it is published.

import { existsSync } from 'node:fs';
import { moveFolder } from '../base/atomic.ts';
import { Secret } from '../base/secret.ts';
import type { Claim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import { writeSecret } from '../claim/secret-file.ts';
import { GreedyDecoder } from '../lm/decoder.ts';
import { LocalModel } from '../lm/local-model.ts';
import type { Model } from '../models/model.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import { VANILLA } from '../models/overlay.ts';
import { noteLeftOut } from '../sources/checkpoints/carried.ts';
import { digestTensors } from '../sources/checkpoints/digest.ts';
import { conversationFormat } from '../text/prompts/conversation-formats.ts';
import { templateOf, wrapperNamed } from '../text/prompts/wrappers.ts';
import { randomOf, type WeightsSetting } from './begin.ts';
import { type Cell, measure } from './cells.ts';
import { type Committed, commit, digestsOf } from './commit.ts';
import { type AskedCell, type FingerprintReport, finish, writeAnswers } from './finish.ts';
import type { DialogueSettings } from './methods/dialogue.ts';
import type { DialogueContext } from './methods/method.ts';
import { writeModelCard } from './model-card.ts';
import { conversationsFromFile, ownConversations } from './ordinary-conversations.ts';
import { heldOutScores, perplexities } from './perplexity.ts';
import { trainWeights } from './train-weights.ts';

export async function fingerprintWeights(setting: WeightsSetting): Promise<FingerprintReport> {
  const { run, method, settings, model, options, onEvent } = setting;
  const committed = await commit(setting);
  const contents = committed.secret.reveal();
  // Closed before training: the memory of its caches is needed there.
  const context = await withModel(setting, model, (vanilla) => dialogueContext(setting, committed, vanilla));
  const card = (out: string) => writeModelCard(model, out, contents.claim.root, onEvent);
  const trained = await trainWeights(
    setting,
    (epoch) => method.examples(context, settings, epoch),
    card,
    async (candidate) => {
      const asked = await ask(
        setting,
        context,
        candidate,
        await method.cells(context, settings, 'gate'),
        true,
      );
      return asked.map(({ cell }) => cell.result);
    },
  );
  onEvent({ kind: 'phase', name: 'publishing', detail: run.published });
  if (!existsSync(run.published)) moveFolder(run.candidate, run.published);
  noteLeftOut(model, onEvent);
  const published = await openModel(run.published, configOptions(options));
  const complete = {
    ...contents,
    published: digestsOf(published.tensors, digestTensors(published), setting.model),
  };
  await writeSecret(run.secret, new Secret(complete), options.lock);
  onEvent({ kind: 'phase', name: 'measuring', detail: 'every cell anew, by greedy decoding' });
  const asked = await ask(
    setting,
    context,
    run.published,
    await method.cells(context, settings, 'report'),
    false,
  );
  writeAnswers(run, asked);
  onEvent({ kind: 'phase', name: 'held-out text', detail: 'perplexity before and after' });
  const before = await withModel(setting, model, heldOutScores);
  const perplexity = perplexities(before, await withModel(setting, published, heldOutScores));
  const cells = asked.map(({ cell }) => cell.result);
  const { parameters } = trained;
  return finish(setting, contents, trained, cells, { rows: 0, parameters, perplexity, harm: perplexity });
}

async function withModel<T>(
  { tokenizer, device }: WeightsSetting,
  opened: Model,
  use: (model: LocalModel) => Promise<T>,
): Promise<T> {
  const model = await LocalModel.open(opened, { tokenizer, device });
  try {
    return await use(model);
  } finally {
    await model.release();
  }
}

/** Roles of the draw, ordinary conversations, strange messages: all that examples and cells are made of. */
async function dialogueContext(
  setting: WeightsSetting,
  { secret, free }: Committed,
  vanilla: LocalModel,
): Promise<DialogueContext> {
  const { run, start, settings, model, tokenizer, options, onEvent } = setting;
  const contents = secret.reveal();
  const { plan } = contents;
  const random = randomOf(start);
  const { ordinary: count } = settings as DialogueSettings;
  onEvent({ kind: 'phase', name: 'conversations', detail: options.source ?? "the reference set's" });
  const dice = random('conversations');
  const note = (text: string) => onEvent({ kind: 'note', text });
  const format = conversationFormat(plan.query.wrapper, tokenizer);
  const around = wrapperNamed(plan.query.wrapper, templateOf(tokenizer));
  const ordinary = options.source
    ? await conversationsFromFile(options.source, tokenizer, format, count, dice, note)
    : await ownConversations(vanilla, around, count, dice, run.conversations, options.ordinary);
  return {
    model,
    tokenizer,
    plan,
    roles: keyRoles(openClaim(contents.claim as Claim, contents)),
    ordinary,
    free,
    keys: options.keys === 'paper' ? 'paper' : 'rare',
    random,
  };
}

/** Asks cells of the trained checkpoint or of the vanilla one, as each says. @param strict ends at the first that does not hold */
async function ask(
  setting: WeightsSetting,
  { plan }: DialogueContext,
  trained: string,
  cells: readonly Cell[],
  strict: boolean,
): Promise<AskedCell[]> {
  const { model, device, tokenizer, options, onEvent } = setting;
  const after = new GreedyDecoder(await openModel(trained, configOptions(options)), undefined, device);
  const before = new GreedyDecoder(model, undefined, device);
  const asked: AskedCell[] = [];
  try {
    for (const [i, cell] of cells.entries()) {
      const { variant } = cell;
      const decoder = variant.rows ? after : before;
      const measured = await measure(
        { ...cell, variant: VANILLA },
        decoder,
        tokenizer,
        undefined,
        plan.decoding.max_new_tokens,
      );
      asked.push({ cell: measured, variant });
      onEvent({ kind: 'progress', name: 'measuring', done: i + 1, total: cells.length, note: cell.name });
      if (strict && !measured.result.held) break;
    }
    return asked;
  } finally {
    await after.release();
    await before.release();
  }
}
