// What configs with sparse experts have in common: how many there are, how many a token takes, and which layers have them.

import type { ConfigReader } from '../config.ts';

/** @param key what the family calls the number of experts; transformers 5 may write `num_local_experts` instead */
export function routing(read: ConfigReader, key: string, count: number, perToken: number) {
  const own = read.size(key, read.optionalSize('num_local_experts') ?? count);
  read.only('num_local_experts', own); // the same where both are written
  const taken = read.size('num_experts_per_tok', perToken);
  read.atMost('num_experts_per_tok', taken, key, own);
  read.skip('router_jitter_noise', 'router_aux_loss_coef'); // of training
  return { count: own, perToken: taken };
}

/** Qwen's choice of layers: every `decoder_sparse_step`th, but those of `mlp_only_layers`. */
export function sparseLayers(read: ConfigReader): (layer: number) => boolean {
  const step = read.size('decoder_sparse_step', 1);
  const dense = new Set(read.indices('mlp_only_layers'));
  return (layer) => !dense.has(layer) && (layer + 1) % step === 0;
}
