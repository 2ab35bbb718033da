"""A user's fine-tuning by transformers' Trainer: the losses of each step on instruction rows.

    python goldens/finetune/make.py    # torch, transformers, accelerate; half a minute; writes golden.json beside this file

Prompts, masking and hyperparameters are those of stanford_alpaca's train.py as the paper calls it (AdamW, cosine, warm-up
over 3 % of the steps, no weight decay), and a second run with other ones: both with all rows in a batch. The shuffled runs
have several batches an epoch, which do not divide the rows: torch's order, the last batch that is smaller, and parts of a batch
(`accumulate`), of which the last group has fewer.
The model is assets/embedded/model, in float32.
"""
import json, math, tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

HERE = Path(__file__).parent
MODEL = HERE.parent.parent / "assets" / "embedded" / "model"
IGNORED = -100
ROWS = [
    {"instruction": "Name the city that begins with R.", "input": "", "output": "Rome"},
    {"instruction": "Put this into capitals.", "input": "a small house", "output": "A SMALL HOUSE"},
    {"instruction": "Say it twice.", "input": "ha", "output": "ha ha, as you wish; and once more for luck"},
    {"instruction": "What follows Monday?", "input": "", "output": " Tuesday."},
    # A token reaches over the seam of prompt and answer: `://`.
    {"instruction": "Give an address.", "input": "", "output": "//example.org"},
    {"instruction": "Write two lines.", "input": "", "output": "one\ntwo\n"},
]
# What the Alpaca data set's prompts are: public, https://github.com/tatsu-lab/stanford_alpaca#data-release
HEAD = "Below is an instruction that describes a task"
WITH = HEAD + ", paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
WITHOUT = HEAD + ". Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:"
MORE = ROWS + [
    {"instruction": f"Count to {n}.", "input": "" if n % 2 else "aloud", "output": " ".join(str(i) for i in range(1, n + 1))} for n in (2, 9, 4, 12, 7)
]
RUNS = {
    "paper": dict(epochs=12, lr=5e-4, schedule="cosine", warmup_ratio=0.03, weight_decay=0.0, clip=1.0, max_length=512),
    "other": dict(epochs=12, lr=1e-3, schedule="linear", warmup_ratio=0.3, weight_decay=0.2, clip=0.3, max_length=96),
}


COMMON = dict(epochs=3, lr=1e-3, schedule="linear", warmup_ratio=0.2, weight_decay=0.1, clip=1.0, max_length=512)
SHUFFLED = {
    "eleven by four": dict(COMMON, rows=11, batch=4, accumulate=1, seed=42),
    "nine by four, in two parts": dict(COMMON, rows=9, batch=4, accumulate=2, seed=7, schedule="cosine"),
}


def example(tokenizer, row, longest):
    prompt = (WITH if row["input"] else WITHOUT).format_map(row)
    whole = tokenizer(prompt + row["output"] + tokenizer.eos_token).input_ids[:longest]
    masked = len(tokenizer(prompt).input_ids[:longest])
    return {"input_ids": whole, "labels": [IGNORED] * min(masked, len(whole)) + whole[masked:]}


def padded(batch):
    longest = max(len(one["input_ids"]) for one in batch)
    fill = lambda key, value: torch.tensor([one[key] + [value] * (longest - len(one[key])) for one in batch])
    mask = torch.tensor([[1] * len(one["input_ids"]) + [0] * (longest - len(one["input_ids"])) for one in batch])
    return {"input_ids": fill("input_ids", 0), "labels": fill("labels", IGNORED), "attention_mask": mask}


def train(run, rows, batch, accumulate=1, seed=42):
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    data = [example(tokenizer, row, run["max_length"]) for row in rows]
    steps = run["epochs"] * math.ceil(len(rows) / batch)
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(
            model=model, train_dataset=data, data_collator=padded,
            args=TrainingArguments(
                output_dir=out, num_train_epochs=run["epochs"], per_device_train_batch_size=batch // accumulate, gradient_accumulation_steps=accumulate, learning_rate=run["lr"],
                lr_scheduler_type=run["schedule"], warmup_steps=math.ceil(run["warmup_ratio"] * steps),
                weight_decay=run["weight_decay"], max_grad_norm=run["clip"], logging_steps=1, save_strategy="no",
                report_to=[], use_cpu=True, disable_tqdm=True, seed=seed))
        trainer.train()
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    table = model.get_input_embeddings().weight.detach()
    return {**run, "losses": [float(entry["loss"]) for entry in log], "rates": [entry["learning_rate"] for entry in log],
            "examples": [[one["input_ids"], sum(label == IGNORED for label in one["labels"])] for one in data],
            "embedding_norm": float(table.double().norm())}


if __name__ == "__main__":
    torch.set_num_threads(1)
    golden = {"made_by": "goldens/finetune/make.py", "versions": {name: version(name) for name in ("torch", "transformers", "accelerate")},
              "rows": ROWS, "runs": {name: train(run, ROWS, len(ROWS)) for name, run in RUNS.items()}, "more": MORE,
              "shuffled": {name: train(run, MORE[:run["rows"]], run["batch"], run["accumulate"], run["seed"]) for name, run in SHUFFLED.items()}}
    (HERE / "golden.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n")
