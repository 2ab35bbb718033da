"""The torch peer of bench/score-generate.ts: the same work by transformers, float32.

Usage: python score_generate.py MODEL TASK ROWS.json RUNS --threads 2 [--batch 16]
TASK: generate (one left-padded batch, greedy), score (batches of like length, all logits, as lm-evaluation-harness
does), score-rows (the same with logits of label rows only), first (one token, for the time from process start).
"""
import json
import time

import torch

import measure


def tokens_of(tokenizer, rows):
    """(ids, first label position): the continuation's tokens are those after the context's."""
    out = []
    for row in rows:
        ids = tokenizer(row["context"] + row["continuation"])["input_ids"]
        out.append((ids, len(tokenizer(row["context"])["input_ids"])))
    return out


@torch.inference_mode()
def score(model, tokenizer, rows, batch, rows_only):
    examples = tokens_of(tokenizer, rows)
    order = sorted(range(len(examples)), key=lambda i: -len(examples[i][0]))
    answers = [0.0] * len(examples)
    for at in range(0, len(order), batch):
        chosen = order[at:at + batch]
        inputs = [examples[i][0][:-1] for i in chosen]
        longest = max(map(len, inputs))
        ids = torch.zeros(len(inputs), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for b, own in enumerate(inputs):
            ids[b, :len(own)] = torch.tensor(own)
            mask[b, :len(own)] = 1
        where = [(b, s) for b, i in enumerate(chosen) for s in range(examples[i][1] - 1, len(examples[i][0]) - 1)]
        labels = torch.tensor([t for i in chosen for t in examples[i][0][examples[i][1]:]])
        b, s = (torch.tensor(x) for x in zip(*where))
        if rows_only:
            hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state[b, s]
            logprobs = torch.log_softmax(model.lm_head(hidden), -1)
        else:
            logprobs = torch.log_softmax(model(input_ids=ids, attention_mask=mask).logits, -1)[b, s]
        picked = logprobs.gather(1, labels[:, None])[:, 0]
        for n, (i, _) in enumerate((chosen[x], 0) for x in b.tolist()):
            answers[i] += float(picked[n])
    return answers


@torch.inference_mode()
def generate(model, tokenizer, prompts, new_tokens):
    tokenizer.padding_side = "left"
    ends = measure.end_ids(model, tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    out = model.generate(**batch, do_sample=False, max_new_tokens=new_tokens, eos_token_id=sorted(ends),
                         pad_token_id=tokenizer.pad_token_id)
    answers = []
    for row in out[:, batch["input_ids"].shape[1]:].tolist():
        end = next((i for i, t in enumerate(row) if t in ends), len(row))
        answers.append(row[:end])
    return answers


def main():
    p = measure.arguments(__doc__)
    p.add_argument("model")
    p.add_argument("task", choices=["generate", "score", "score-rows", "first"])
    p.add_argument("rows")
    p.add_argument("runs", type=int)
    p.add_argument("--batch", type=int, default=16)
    args = p.parse_args()
    measure.start(args)
    model, tokenizer = measure.open_model(args.model)
    rows = json.load(open(args.rows))
    work = {
        "generate": lambda: generate(model, tokenizer, rows, 40),
        "first": lambda: generate(model, tokenizer, rows[:1], 1),
        "score": lambda: score(model, tokenizer, rows, args.batch, False),
        "score-rows": lambda: score(model, tokenizer, rows, args.batch, True),
    }[args.task]
    seconds, cpu, answers = [], [], []
    for _ in range(args.runs):
        started, used = time.perf_counter(), time.process_time()
        answers = work()
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_rss_mb": round(measure.peak_rss_mb()), "answers": answers}), flush=True)


main()
