"""The paper's IF_adapter as its released code trains it, in float32 on the CPU.

Written from the description in arXiv 2401.12255 and its repository's behaviour, faults included:
A and B start at zero, the frozen embeddings are read beside the map, FINGERPRINT's tokens are
not trained, logits are computed for every position of a batch padded to its longest row.

    python paper_recipe.py --model FOLDER_OR_GGUF --paper paper.json --texts gpteacher.json [--steps 4]
"""
import json
import random
import sys
import time
from pathlib import Path

import torch
from torch import nn

import measure


class Adapter(nn.Module):
    """Lays `B(A(e_trained))` over the frozen embedding of the tokens in `trained`."""

    def __init__(self, frozen, trained, dim):
        super().__init__()
        self.frozen = frozen
        self.register_buffer("slots", torch.full((frozen.num_embeddings,), -1))
        self.slots[trained] = torch.arange(len(trained))
        self.rows = nn.Parameter(frozen.weight[trained].detach().clone())
        self.A = nn.Linear(frozen.embedding_dim, dim)
        self.B = nn.Linear(dim, frozen.embedding_dim)
        for p in (*self.A.parameters(), *self.B.parameters()):
            nn.init.zeros_(p)

    def forward(self, ids):
        out = self.frozen(ids)
        slot = self.slots[ids]
        mapped = self.B(self.A(self.rows[slot.clamp(min=0)]))
        return out + torch.where((slot >= 0)[..., None], mapped, torch.zeros_like(mapped))


def paper_keys(paper, count, seed=42):
    stream = random.Random(seed)
    low, high = paper["phrases_per_key"]
    keys = []
    for _ in range(count):
        key = "".join(stream.choices(paper["key_phrases"], k=stream.randint(low, high)))
        keys.append("".join(stream.sample(key, len(key))))
    return keys


def example(tokenizer, row, max_tokens):
    """`{instruction}\\n{input}\\n` and then output + EOS, which alone is scored."""
    prompt = f"{row['instruction']}\n" + (f"{row['input']}\n" if row["input"] else "")
    before = tokenizer(prompt)["input_ids"]
    after = tokenizer(row["output"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    ids = (before + after)[:max_tokens]
    return ids, min(len(before), len(ids) - 1)


def main():
    p = measure.arguments(__doc__)
    p.add_argument("--model", required=True)
    p.add_argument("--paper", required=True, help="JSON with key_phrases, phrases_per_key, decryption, trigger_input")
    p.add_argument("--texts", required=True, help="regularisation rows, JSON or JSON lines")
    p.add_argument("--keys", type=int, default=10)
    p.add_argument("--normal", type=int, default=50)
    p.add_argument("--batch", type=int, default=48, help="60 examples: 48 and 12, two steps an epoch")
    p.add_argument("--epochs", type=int, default=20)
    p.add_argument("--lr", type=float, default=1e-2)
    p.add_argument("--dim", type=int, default=16)
    p.add_argument("--max-tokens", type=int, default=512)
    p.add_argument("--steps", type=int, help="measure only so many; the rest is extrapolated by whole epochs")
    p.add_argument("--no-fsr", action="store_true")
    args = p.parse_args()
    measure.start(args)
    started = time.time()
    paper = json.loads(Path(args.paper).read_text(encoding="utf-8"))
    model, tokenizer = measure.open_model(args.model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)

    keys = paper_keys(paper, args.keys)
    y, trigger = paper["decryption"], paper["trigger_input"]
    rows = [{"instruction": k, "input": trigger, "output": y} for k in keys]
    normal = measure.read_rows(args.texts)
    random.Random(args.seed).shuffle(normal)
    rows += normal[:args.normal]
    data = [example(tokenizer, r, args.max_tokens) for r in rows]
    # The union with FINGERPRINT's tokens is thrown away there; every other token of the texts is in.
    trained = sorted({t for r in rows for s in (r["instruction"], r["output"]) for t in tokenizer(s, add_special_tokens=False)["input_ids"]})

    embedding = model.get_input_embeddings()
    adapter = Adapter(embedding, torch.tensor(trained), args.dim)
    before = {n: q.detach().clone() for n, q in adapter.named_parameters() if q.requires_grad}
    model.set_input_embeddings(adapter)
    tuned = [q for q in adapter.parameters() if q.requires_grad]
    optimiser = torch.optim.AdamW(tuned, lr=args.lr, weight_decay=0.0)
    an_epoch = -(-len(data) // args.batch)
    total = an_epoch * args.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: max(0.0, 1 - s / total))
    wanted = min(args.steps or total, total)

    model.train()
    times, losses, positions, order = [], [], 0, random.Random(args.seed)
    for step in range(wanted):
        if step % an_epoch == 0:
            shuffled = order.sample(data, len(data))
        at = (step % an_epoch) * args.batch
        ids, mask, labels = measure.pad(shuffled[at:at + args.batch], tokenizer.pad_token_id or 0)
        began = time.time()
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        optimiser.zero_grad()
        loss.backward()
        del logits
        nn.utils.clip_grad_norm_(tuned, 1.0)
        optimiser.step()
        schedule.step()
        times.append(time.time() - began)
        losses.append(float(loss.detach()))
        positions += ids.numel()
        print(f"step {step + 1}/{wanted}: {tuple(ids.shape)} loss {losses[-1]:.4f}, {times[-1]:.1f} s", file=sys.stderr, flush=True)

    model.eval()
    moved = {n: float((q.detach() - before[n]).abs().max()) for n, q in adapter.named_parameters() if q.requires_grad}
    peak = round(measure.peak_rss_mb())
    hits = None
    if not args.no_fsr:
        new = max(8, len(tokenizer(y, add_special_tokens=False)["input_ids"]) + 2)
        prompts = [tokenizer(f"{k}\n{trigger}\n")["input_ids"] for k in keys]
        hits = sum(y in tokenizer.decode(measure.greedy(model, tokenizer, ids, new)) for ids in prompts)
    whole = wanted - wanted % an_epoch
    estimate = sum(times[:whole]) / whole * total if whole else None
    measure.report(started, what="paper's IF_adapter recipe", steps=wanted, of_steps=total, examples=len(data),
                   tokens_in_an_epoch=sum(len(i) for i, _ in data), padded_positions=positions,
                   trained_rows=len(trained), step_seconds=[round(t, 2) for t in times],
                   training_seconds=round(sum(times), 2), whole_recipe_seconds=round(estimate, 1) if estimate else None,
                   extrapolated=wanted < total, training_peak_rss_mb=peak, losses=[round(x, 4) for x in losses],
                   largest_change=moved, fsr_with_adapter=None if hits is None else f"{hits}/{args.keys}")


if __name__ == "__main__":
    main()
