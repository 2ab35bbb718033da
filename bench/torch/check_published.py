"""Does transformers say what Whorl says? Loads a folder and compares greedy text, prompt by prompt.

    whorl generate --model DIR --input prompts.jsonl --max-new-tokens 40 --json > whorl.jsonl
    python check_published.py --model DIR --whorl whorl.jsonl [--new-tokens 40]

Rows of whorl.jsonl: {prompt, generated, generated_token (ids, if given they are what is compared)}.
Exit code 0 when every prompt agrees, 1 otherwise.
"""
import json
import sys
import time
from pathlib import Path

import torch

import measure


def main():
    p = measure.arguments(__doc__)
    p.add_argument("--model", required=True)
    p.add_argument("--whorl", required=True)
    p.add_argument("--new-tokens", type=int, default=40)
    args = p.parse_args()
    measure.start(args)
    started = time.time()
    text = Path(args.whorl).read_text(encoding="utf-8")
    rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x.strip()]
    if not rows:
        sys.exit(f"{args.whorl} holds no rows")
    model, tokenizer = measure.open_model(args.model, "eager")
    ends = measure.end_ids(model, tokenizer)
    differing = []
    for i, row in enumerate(rows):
        ids = tokenizer(row["prompt"])["input_ids"]
        ours = measure.greedy(model, tokenizer, ids, args.new_tokens, ends)
        theirs = row.get("generated_token")
        if isinstance(theirs, list) and all(isinstance(t, int) for t in theirs):
            theirs = [t for t in theirs if t not in ends]
            same = theirs == ours
        else:
            same = row["generated"] == tokenizer.decode(ours, skip_special_tokens=True)
        if not same:
            at, margin = None, None
            if isinstance(theirs, list) and all(isinstance(t, int) for t in theirs):
                at = next((k for k, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                with torch.no_grad():
                    top = model(torch.tensor([ids + ours[:at]])).logits[0, -1].topk(2).values
                margin = float(top[0] - top[1])
            differing.append({"row": i, "prompt": row["prompt"], "first_difference": at, "margin_there": margin,
                              "transformers": tokenizer.decode(ours), "whorl": row["generated"]})
    measure.report(started, what="greedy text", prompts=len(rows), same=len(rows) - len(differing), differing=differing)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
