"""Twenty steps of full fine-tuning of SmolLM2-135M-Instruct by torch: losses and gradient norms.

Run: python goldens/smollm2/make_train.py --gguf FILE   (torch, transformers, gguf; some minutes, 3.5 GB)
Texts are those of golden.json (goldens/smollm2/make.py first), cut to 24 tokens, 4 a step. Output train.json.
"""
import argparse
import json
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, get_cosine_schedule_with_warmup

HERE = Path(__file__).parent
STEPS, PER_STEP, LENGTH, TEXTS, WARMUP = 20, 4, 24, 12, 3
SETTINGS = dict(lr=2e-5, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.01, clip=1.0)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--gguf", type=Path, required=True)
    args.add_argument("--threads", type=int, default=1)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(str(args.gguf.parent), gguf_file=args.gguf.name, dtype=torch.float32,
                                                 attn_implementation="eager").train()
    texts = json.loads((HERE / "golden.json").read_text())["texts"]
    rows = [t["input_ids"][:LENGTH] for t in texts if len(t["input_ids"]) >= 8][:TEXTS]
    r = torch.Generator().manual_seed(1)
    order = [torch.randint(0, len(rows), (PER_STEP,), generator=r).tolist() for _ in range(STEPS)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=SETTINGS["lr"], betas=(SETTINGS["beta1"], SETTINGS["beta2"]),
                                  eps=SETTINGS["epsilon"], weight_decay=SETTINGS["weight_decay"])
    schedule = get_cosine_schedule_with_warmup(optimiser, WARMUP, STEPS)
    losses, norms = [], []
    for step in range(STEPS):
        batch = [rows[i] for i in order[step]]
        count = sum(len(ids) - 1 for ids in batch)
        optimiser.zero_grad()
        loss = 0.0
        for ids in batch:  # each alone, so nothing is padded
            logits = model(torch.tensor([ids]), use_cache=False).logits[0, :-1]
            part = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum") / count
            part.backward()
            loss += float(part.detach())
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["clip"])))
        optimiser.step()
        schedule.step()
        losses.append(loss)
        print(step, loss, norms[-1], flush=True)
    (HERE / "train.json").write_text(json.dumps({
        "made_by": "goldens/smollm2/make_train.py", "versions": {n: version(n) for n in ("torch", "transformers", "gguf")},
        **SETTINGS, "steps": STEPS, "warmup": WARMUP, "rows": rows, "order": order, "losses": losses, "grad_norms": norms,
    }) + "\n")


if __name__ == "__main__":
    main()
