"""The torch peer of bench/sample-bos.ts: texts sampled from BOS by transformers' batched generate, float32.

Usage: python sample_bos.py MODEL COUNT BATCH NEW_TOKENS --threads 2
T .7, top-p .95, top-k 50, no text ends early before EOS; prints seconds, tokens made (without what follows an EOS), peak RSS.
"""
import json
import time

import torch

import measure


@torch.inference_mode()
def sample(model, tokenizer, count, batch, new_tokens):
    ends = measure.end_ids(model, tokenizer)
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else min(ends)
    tokens, lengths = 0, []
    for at in range(0, count, batch):
        rows = min(batch, count - at)
        ids = torch.full((rows, 1), first)
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=0.7, top_p=0.95,
                             top_k=50, max_new_tokens=new_tokens, eos_token_id=sorted(ends), pad_token_id=min(ends))
        for row in out[:, 1:].tolist():
            end = next((i for i, t in enumerate(row) if t in ends), len(row))
            lengths.append(end)
            tokens += end
    return tokens, lengths


def main():
    p = measure.arguments(__doc__)
    p.add_argument("model")
    p.add_argument("count", type=int)
    p.add_argument("batch", type=int)
    p.add_argument("new_tokens", type=int)
    args = p.parse_args()
    measure.start(args)
    model, tokenizer = measure.open_model(args.model)
    sample(model, tokenizer, 2, 2, 2)  # what only the first call costs
    started = time.perf_counter()
    tokens, lengths = sample(model, tokenizer, args.count, args.batch, args.new_tokens)
    print(json.dumps({"seconds": time.perf_counter() - started, "tokens": tokens, "texts": len(lengths),
                      "peak_rss_mb": round(measure.peak_rss_mb())}), flush=True)


main()
