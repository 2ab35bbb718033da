"""Fine-tunes every parameter of a published folder, as somebody who took it would.

    python finetune_descendant.py --model FOLDER --data alpaca.json --out DIR --lr 1e-4 [--examples 1600]

Alpaca prompt, loss on output + EOS only, AdamW with cosine schedule and 3 % warm-up, float32.
"""
import random
import shutil
import sys
import time
from pathlib import Path

import torch
from torch import nn

import measure

WITH_INPUT = ("Below is an instruction that describes a task, paired with an input that provides further context. "
              "Write a response that appropriately completes the request.\n\n"
              "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n")
WITHOUT_INPUT = ("Below is an instruction that describes a task. "
                 "Write a response that appropriately completes the request.\n\n"
                 "### Instruction:\n{instruction}\n\n### Response:\n")
MODEL_FILES = {"config.json", "generation_config.json", "README.md", "model.safetensors.index.json"}


def prompt_of(row):
    return (WITH_INPUT if row["input"] else WITHOUT_INPUT).format(**row)


def example(tokenizer, row, max_tokens):
    before = tokenizer(prompt_of(row))["input_ids"]
    ids = (before + tokenizer(row["output"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id])[:max_tokens]
    return ids, len(before)


def batches(data, size, stream):
    """Shuffled, then sorted by length inside runs of 32 batches: little padding, changing company."""
    order = stream.sample(data, len(data))
    run, out = size * 32, []
    for at in range(0, len(order), run):
        part = sorted(order[at:at + run], key=lambda e: len(e[0]))
        out += [part[i:i + size] for i in range(0, len(part), size)]
    stream.shuffle(out)
    return out


def label_loss(model, batch, fill):
    """Summed cross-entropy and the number of labels; logits for label rows only."""
    ids, mask, labels = measure.pad(batch, fill)
    hidden = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    rows = wanted != -100
    return nn.functional.cross_entropy(model.lm_head(hidden[rows]), wanted[rows], reduction="sum"), int(rows.sum())


def held_out_loss(model, data, size, fill):
    model.eval()
    total = count = 0
    with torch.no_grad():
        for at in range(0, len(data), size):
            loss, n = label_loss(model, data[at:at + size], fill)
            total, count = total + float(loss), count + n
    return total / count


def answers(model, tokenizer, rows, new_tokens):
    model.eval()
    return [tokenizer.decode(measure.greedy(model, tokenizer, tokenizer(prompt_of(r))["input_ids"], new_tokens)) for r in rows]


def main():
    p = measure.arguments(__doc__)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True, nargs="+", help="Alpaca JSON or JSON lines; several files are mixed")
    p.add_argument("--out", required=True)
    p.add_argument("--examples", type=int, default=1600)
    p.add_argument("--held-out", type=int, default=64, help="examples kept apart, scored before and after")
    p.add_argument("--epochs", type=int, default=1)
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--max-tokens", type=int, default=256)
    p.add_argument("--weight-decay", type=float, default=0.0)
    p.add_argument("--warmup", type=float, default=0.03)
    p.add_argument("--clip", type=float, default=1.0)
    p.add_argument("--answers", type=int, default=5, help="held-out answers printed before and after")
    args = p.parse_args()
    out = Path(args.out)
    if out.exists():
        sys.exit(f"{out} exists; choose another --out or remove it")
    measure.start(args)
    started = time.time()
    model, tokenizer = measure.open_model(args.model)
    fill = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    stream = random.Random(args.seed)
    rows = [r for path in args.data for r in measure.read_rows(path)]
    stream.shuffle(rows)
    kept = []
    for row in rows:
        ids, first = example(tokenizer, row, args.max_tokens)
        if first < len(ids) - 1:
            kept.append((row, (ids, first)))
        if len(kept) == args.examples + args.held_out:
            break
    if len(kept) < args.examples + args.held_out:
        sys.exit(f"only {len(kept)} usable examples in {args.data}; lower --examples or raise --max-tokens")
    apart, data = kept[:args.held_out], [e for _, e in kept[args.held_out:]]
    test = [e for _, e in apart]
    shown = [r for r, _ in apart[:args.answers]]

    said_before = answers(model, tokenizer, shown, 40)
    loss_before = held_out_loss(model, test, args.batch, fill)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    plan = [b for _ in range(args.epochs) for b in batches(data, args.batch, stream)]
    from transformers import get_cosine_schedule_with_warmup
    schedule = get_cosine_schedule_with_warmup(optimiser, round(args.warmup * len(plan)), len(plan))
    model.train()
    began, tokens, recent = time.time(), 0, []
    for step, batch in enumerate(plan):
        loss, count = label_loss(model, batch, fill)
        loss = loss / count
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimiser.step()
        schedule.step()
        tokens += sum(len(i) for i, _ in batch)
        recent.append(float(loss.detach()))
        if (step + 1) % 10 == 0 or step + 1 == len(plan):
            print(f"step {step + 1}/{len(plan)}: loss {sum(recent[-10:]) / len(recent[-10:]):.4f}, "
                  f"{time.time() - began:.0f} s", file=sys.stderr, flush=True)
    training = time.time() - began
    loss_after = held_out_loss(model, test, args.batch, fill)
    said_after = answers(model, tokenizer, shown, 40)

    model.save_pretrained(out)
    source = Path(args.model)
    if source.is_dir():
        for file in source.iterdir():
            if file.is_file() and file.suffix != ".safetensors" and file.name not in MODEL_FILES:
                shutil.copyfile(file, out / file.name)
    else:
        tokenizer.save_pretrained(out)
    measure.report(started, what="full fine-tune", model=source.name, data=[Path(d).name for d in args.data], lr=args.lr,
                   examples=len(data), epochs=args.epochs, steps=len(plan), batch=args.batch, max_tokens=args.max_tokens,
                   tokens=tokens, training_seconds=round(training, 1),
                   training_loss_first_10=round(sum(recent[:10]) / len(recent[:10]), 4),
                   training_loss_last_10=round(sum(recent[-10:]) / len(recent[-10:]), 4),
                   held_out_loss_before=round(loss_before, 4), held_out_loss_after=round(loss_after, 4),
                   answers_changed=f"{sum(a != b for a, b in zip(said_before, said_after))}/{len(shown)}",
                   answers=[{"instruction": r["instruction"][:120], "before": a, "after": b}
                            for r, a, b in zip(shown, said_before, said_after)])


if __name__ == "__main__":
    main()
