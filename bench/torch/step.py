"""torch's side of bench/step.ts: reads "step" lines, takes a step for each, prints what it took.

The same ids and labels as bench/step-ours.ts. --logits all: as transformers trains (logits of every position); labels:
the head sees the label rows alone. --what embeddings: gradient to the input embeddings, weights frozen; full: every
parameter, norm clipped to 1, AdamW with weight decay; lora: peft, rank 8 on every linear layer.
"""
import argparse
import json
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM

LABELS = 6


def say(line):
    print(json.dumps(line), flush=True)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--model", required=True)
    args.add_argument("--what", choices=["embeddings", "full", "lora"], default="full")
    args.add_argument("--logits", choices=["all", "labels"], default="all")
    for name, default in (("threads", 2), ("batch", 8), ("length", 128)):
        args.add_argument(f"--{name}", type=int, default=default)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).train()
    vocab, B, S = model.config.vocab_size, args.batch, args.length
    b, s = torch.arange(B)[:, None], torch.arange(S)[None, :]
    ids = (b * 7919 + s * 104729 + 17) % vocab
    optimiser = None
    if args.what == "lora":
        from peft import LoraConfig, get_peft_model
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear")).train()
    if args.what == "embeddings":
        model.requires_grad_(False)
    else:
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=1e-5, weight_decay=0.01)
    base = model.base_model.model if args.what == "lora" else model
    rows = torch.arange(S - 1 - LABELS, S - 1)
    wanted = ids[:, S - LABELS:].reshape(-1)

    def loss_of(x):
        if args.logits == "all":
            logits = model(inputs_embeds=x, use_cache=False).logits[:, rows]
        else:
            logits = base.lm_head(base.model(inputs_embeds=x, use_cache=False).last_hidden_state[:, rows])
        return torch.nn.functional.cross_entropy(logits.reshape(-1, vocab), wanted)

    def step():
        x = base.get_input_embeddings()(ids)
        if args.what == "embeddings":
            x = x.detach().requires_grad_(True)
        loss = loss_of(x)
        if optimiser:
            optimiser.zero_grad()
        loss.backward()
        if optimiser:
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
        return float(loss.detach())

    say({"ready": True})
    for _ in sys.stdin:
        started = time.perf_counter()
        loss = step()
        say({"ms": 1000 * (time.perf_counter() - started), "loss": loss})
    say({"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6})


if __name__ == "__main__":
    main()
