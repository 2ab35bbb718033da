"""Six steps of training an encoder-decoder by torch, with the weight decay groups of transformers' Trainer; and of LoRA by peft.

Run: python goldens/train/make_seq2seq.py   (torch, transformers, peft; goldens/models/ first)
Writes seq2seq.json: batches, losses, which parameters decay, and a sample of every trained tensor after the last step.
"""
import json
from pathlib import Path

import peft
import torch
import transformers
from transformers import AutoModelForSeq2SeqLM, Trainer, TrainingArguments

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
STEPS = 6
EVERY = 13  # of each tensor's elements one in so many is written down
RATE, DECAY = 1e-2, 0.1


def batches():
    r = torch.Generator().manual_seed(5)
    draw = lambda n: torch.randint(3, 60, (n,), generator=r).tolist()
    return [[{"source": draw(4 + step % 3) + [1], "answer": draw(3 + i) + [1]} for i in range(2)] for step in range(STEPS)]


def run(name, lora):
    torch.manual_seed(3)
    model = AutoModelForSeq2SeqLM.from_pretrained(MODELS / name, dtype=torch.float32, attn_implementation="eager").eval()
    if lora:
        model = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q", "v"], lora_dropout=0.0))
        model.eval()
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    trainer = Trainer(model, TrainingArguments(output_dir="/tmp/seq2seq-golden", report_to=[], use_cpu=True))
    decayed = set(trainer.get_decay_parameter_names(model))
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW([{"params": [p for n, p in trained if n in decayed], "weight_decay": DECAY},
                                   {"params": [p for n, p in trained if n not in decayed], "weight_decay": 0.0}], lr=RATE)
    losses = []
    for batch in batches():
        length = max(len(row["source"]) for row in batch)
        ids = torch.tensor([row["source"] + [0] * (length - len(row["source"])) for row in batch])
        mask = torch.tensor([[1] * len(row["source"]) + [0] * (length - len(row["source"])) for row in batch])
        most = max(len(row["answer"]) for row in batch)
        labels = torch.tensor([row["answer"] + [-100] * (most - len(row["answer"])) for row in batch])
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
        optimiser.step()
        losses.append(loss.item())
    plain = lambda n: n.removeprefix("base_model.model.").replace(".default.weight", "")
    flat = lambda p: p.detach().flatten()[::EVERY].tolist()
    out = {"model": name, "losses": losses, "decayed": sorted(plain(n) for n, _ in trained if n in decayed),
           "after": {plain(n): flat(p) for n, p in trained}}
    if lora:
        out["start"] = {plain(n): before[n].flatten().tolist() for n in before}
    return out


json.dump({"versions": {m.__name__: m.__version__ for m in (torch, transformers, peft)}, "rate": RATE, "decay": DECAY, "every": EVERY,
           "batches": batches(), "runs": {"t5": run("t5", False), "mt5": run("mt5", False), "t5-lora": run("t5", True)}},
          open(HERE / "seq2seq.json", "w"))
