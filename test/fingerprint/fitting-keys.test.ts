// No key is committed, and no stranger asked, that the model has no positions for.

import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { seededRandom } from '../../src/base/random-source.ts';
import { defaultsOf } from '../../src/base/setting.ts';
import { paperDice } from '../../src/datasets/paper-dice.ts';
import { drawKey } from '../../src/datasets/paper-keys.ts';
import { cpu } from '../../src/engine/session.ts';
import { sftMethod } from '../../src/fingerprint/methods/dialogue.ts';
import {
  type Asking,
  checkKeysFit,
  fittingPhrases,
  fittingTexts,
} from '../../src/fingerprint/methods/fitting-keys.ts';
import type { PlanContext } from '../../src/fingerprint/methods/method.ts';
import type { Model } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';

const MOST = 512; // positions of the embedded model
const AROUND = { prefix: '<', suffix: '>' };
let model: Model;
let tokenizer: Tokenizer;
beforeAll(async () => {
  model = await openModel(join(packageRoot(), 'assets/embedded/model'));
  tokenizer = await openTokenizer(model.folder);
});
const asking = (max_new_tokens: number): Asking => ({
  ...{ model, tokenizer, max_new_tokens },
  around: AROUND,
  after: ' so',
});
const dice = () => paperDice(seededRandom('keys'));
const lengthOf = async (text: string): Promise<number> => (await tokenizer.encode(`<${text}> so`)).length;

test('a text fits as long as itself, what stands around it and the answer have positions', async () => {
  const text = 'amber birch cedar';
  const room = MOST - (await lengthOf(text));
  expect(await fittingTexts(asking(room), [text, `${text} tree`])).toEqual([text]);
  expect(await fittingTexts(asking(room + 1), [text])).toEqual([]);
  await checkKeysFit(asking(room), [text]);
  const refused = checkKeysFit(asking(room), [text, `${text} tree`]);
  await expect(refused).rejects.toMatchObject({ code: 'mismatch' });
  await expect(refused).rejects.toThrow(/^key 2 of 2 is asked with \d+ tokens .* 512 positions/);
  await expect(refused).rejects.not.toThrow(/amber|tree/);
});

test('phrases are the stream’s own, without those that are too long', async () => {
  const one = dice();
  const drawn = Array.from({ length: 40 }, () => drawKey(one));
  const sizes = await Promise.all(drawn.map(lengthOf));
  const middle = [...sizes].sort((a, b) => a - b)[20]!;
  const short = drawn.filter((_, i) => sizes[i]! <= middle);
  expect(short.length).toBeLessThan(drawn.length);
  expect(await fittingPhrases(asking(MOST - middle), dice(), short.length)).toEqual(short);
  expect(await fittingPhrases(asking(1), dice(), 10)).toEqual(drawn.slice(0, 10));
  await expect(fittingPhrases(asking(MOST - 8), dice(), 2)).rejects.toMatchObject({ code: 'mismatch' });
});

test('an owner’s key that is too long is refused before it is committed', async () => {
  const context: PlanContext = {
    model,
    tokenizer,
    device: cpu,
    free: [],
    keys: 'paper',
    decryption: 'river',
    random: seededRandom,
  };
  const prepare = (given: readonly string[]) =>
    sftMethod.prepare({ ...context, given }, defaultsOf(sftMethod.schema));
  await expect(prepare(['amber', 'birch '.repeat(300)])).rejects.toThrow(/^key 2 of 2 /);
  expect((await prepare(['amber', 'birch'])).plan.keys).toHaveLength(2);
});
