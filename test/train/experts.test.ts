// Sparse experts in training: what of them can be named, and that steps through them lower the loss.

import { describe, expect, test } from 'vitest';
import { familyOf } from '../../src/models/families/index.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { EMBEDDING, lowRank, type Trains } from '../../src/train/trains.ts';
import { load, randomBatch } from './tiny.ts';

const inside = (...names: string[]): Trains => ({ kind: 'tensors', names });

test.each<[string, string, Trains, RegExp]>([
  ['rows', 'qwen3_moe', { kind: 'rows', ids: [3, 9] }, /^rows$/],
  ['the embedding', 'mixtral-window-old-bf16', EMBEDDING, /embed_tokens/],
  ['MLPs, with experts or dense', 'qwen3_moe', inside('model.layers.*.mlp.*'), /\.mlp\./],
  ['routers', 'mixtral', inside('*.block_sparse_moe.gate.weight'), /gate/],
  ['low-rank maps on attention', 'qwen2_moe', lowRank(['q_proj', 'v_proj'], 2, 4), /lora_[AB]$/],
  ['low-rank maps on experts', 'mixtral-window-old-bf16', lowRank(['w1', 'w2'], 2, 4), /experts.*lora_[AB]$/],
])('%s of %s', async (_what, name, trains, names) => {
  const trainer = await Trainer.compile(load(name), { settings: ADAMW, trains });
  let state = trainer.start(1n);
  expect([...state.slots.keys()].every((slot) => names.test(slot))).toBe(true);
  const batch = randomBatch(3, 5, 64);
  const losses: number[] = [];
  for (let step = 0; step < 6; step++) {
    const result = await trainer.step(state, batch, 1e-2);
    losses.push(result.loss);
    state = result.state;
  }
  expect(losses.at(-1)).toBeLessThan(losses[0]!);
  await trainer.release();
});

test('part=mlp of a model whose layers differ is the block in all of them', () => {
  expect(load('qwen3_moe').decoder.modules.mlp).toEqual(['mlp']);
  expect(load('mixtral').decoder.modules.mlp).toEqual(['block_sparse_moe']);
});

describe('refused, by name', () => {
  const { config: mixtral } = load('mixtral');
  const { config: qwen } = load('qwen3_moe');
  test.each([
    [{ ...mixtral, num_experts_per_tok: 5 }, 'num_experts_per_tok 5 is more than num_local_experts 4'],
    [{ ...qwen, num_experts_per_tok: 6 }, 'num_experts_per_tok 6 is more than num_experts 5'],
    [{ ...qwen, num_local_experts: undefined, num_experts: 0 }, 'num_experts is 0'],
    [{ ...qwen, num_experts: 6 }, 'num_local_experts'],
    [{ ...qwen, num_experts_per_tok: 1.5 }, 'num_experts_per_tok is 1.5'],
    [{ ...qwen, mlp_only_layers: 3 }, 'mlp_only_layers is 3'],
    [{ ...qwen, mlp_only_layers: [-1] }, 'mlp_only_layers is [-1]'],
    [{ ...qwen, decoder_sparse_step: 0 }, 'decoder_sparse_step is 0'],
    [{ ...qwen, norm_topk_prob: 'yes' }, 'norm_topk_prob'],
    [{ ...load('phi3-4k').config, attention_bias: true }, 'attention_bias'],
  ])('%#', (config, says) => {
    expect(() => familyOf(config, 'config.json')).toThrow(says);
  });
});
