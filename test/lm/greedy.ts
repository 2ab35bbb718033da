// Greedy continuations of token ids: the decoder itself, without tokenizer or batching.

import type { Device } from '../../src/engine/session.ts';
import { GREEDY } from '../../src/lm/choose.ts';
import { BatchDecoder } from '../../src/lm/decoder.ts';
import { fullSampling } from '../../src/lm/sampling.ts';
import type { ModelWeights } from '../../src/models/model.ts';
import { type Overlay, PUBLISHED, VANILLA } from '../../src/models/overlay.ts';

export function greedyDecoder(model: ModelWeights, device: Device, overlay?: Overlay) {
  const decoder = new BatchDecoder(model, overlay, device);
  const one = {
    variant: overlay ? PUBLISHED : VANILLA,
    sampling: fullSampling(undefined),
    uniforms: [new Float32Array(0)],
  };
  return {
    /** @param sources of an encoder-decoder */
    async decode(
      prompts: readonly (readonly number[])[],
      maxNewTokens: number,
      sources?: readonly (readonly number[])[],
    ): Promise<number[][]> {
      const requests = prompts.map((tokens, i) => ({
        ...one,
        tokens,
        ...(sources && { source: sources[i]! }),
      }));
      const decoded = await decoder.decode(GREEDY, requests, { maxNewTokens, ends: [] });
      return decoded.map(([tokens]) => tokens!);
    },
    release: () => decoder.release(),
  };
}
