"""A hundred steps of fine-tuning by torch with everything on, learning-rate multipliers by transformers, LoRA by peft.

Run: python goldens/train/make_long.py   (torch, transformers, peft, safetensors; goldens/models/ first; a minute)
Writes long.json (losses, norms), schedules.json and lora.json + lora.safetensors.
"""
import json
from importlib.metadata import version
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
STEPS, WARMUP, SEQUENCES, PER_STEP = 100, 10, 24, 4
SETTINGS = dict(lr=3e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.1, clip=1.0)
RUNS = {
    # `decay`: which parameters shrink. transformers' Trainer leaves out norms (and biases), plain torch takes all.
    "llama-tied": dict(schedule="cosine", decay="all"),
    "llama-gqa": dict(schedule="cosine", decay="matrices"),
    # A bf16 checkpoint: the weights in training are float32.
    "llama-gqa-tied-bf16": dict(schedule="linear", decay="matrices"),
}
SCHEDULES = {
    "constant": lambda o, w, n: transformers.get_constant_schedule_with_warmup(o, w),
    "linear": transformers.get_linear_schedule_with_warmup,
    "cosine": transformers.get_cosine_schedule_with_warmup,
}
VERSIONS = {name: version(name) for name in ("torch", "transformers", "peft")}


def sequences():
    """Random, so that learning means remembering: a hundred steps over 24 sequences see each about 17 times."""
    r = torch.Generator().manual_seed(5)
    out = []
    for i in range(SEQUENCES):
        length = int(torch.randint(5, 14, (1,), generator=r))
        first = int(torch.randint(0, 3, (1,), generator=r))
        ids = torch.randint(0, 96, (length,), generator=r).tolist()
        out.append({"ids": ids, "labels": [[p, ids[p + 1]] for p in range(first, length - 1)]})
    order = [torch.randint(0, SEQUENCES, (PER_STEP,), generator=r).tolist() for _ in range(STEPS)]
    return out, order


def summed(model, rows):
    """Summed cross-entropy of some sequences' labels."""
    total = 0
    for row in rows:
        logits = model(torch.tensor([row["ids"]]), use_cache=False).logits[0]
        positions, wanted = zip(*row["labels"])
        total = total + torch.nn.functional.cross_entropy(logits[list(positions)], torch.tensor(wanted), reduction="sum")
    return total


def train(name, run, data, order, dtype):
    model = LlamaForCausalLM.from_pretrained(MODELS / name, dtype=dtype, attn_implementation="eager").train()
    norms = [p for p in model.parameters() if p.ndim < 2]
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    wd = SETTINGS["weight_decay"]
    groups = [{"params": matrices, "weight_decay": wd},
              {"params": norms, "weight_decay": wd if run["decay"] == "all" else 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=SETTINGS["lr"], betas=(SETTINGS["beta1"], SETTINGS["beta2"]),
                                  eps=SETTINGS["epsilon"])
    schedule = SCHEDULES[run["schedule"]](optimiser, WARMUP, STEPS)
    losses, grad_norms = [], []
    for step in range(STEPS):
        rows = [data[i] for i in order[step]]
        count = sum(len(row["labels"]) for row in rows)
        optimiser.zero_grad()
        loss = 0.0
        for half in (rows[:2], rows[2:]):  # accumulation: each part is divided by the whole batch's labels
            part = summed(model, half) / count
            part.backward()
            loss += float(part.detach())
        grad_norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["clip"])))
        optimiser.step()
        schedule.step()
        losses.append(loss)
    return losses, grad_norms


def long():
    data, order = sequences()
    runs = {}
    for name, run in RUNS.items():
        losses, norms = train(name, run, data, order, torch.float32)
        exact, _ = train(name, run, data, order, torch.float64)
        drift = max(abs(a / b - 1) for a, b in zip(losses, exact))
        print(name, "loss %.4f → %.4f" % (losses[0], losses[-1]), "drift from float64 %.1e" % drift, flush=True)
        runs[name] = {**run, "float32_drift": drift, "losses": losses, "grad_norms": norms}
    write("long.json", {"made_by": "goldens/train/make_long.py", "versions": VERSIONS, **SETTINGS, "steps": STEPS,
                        "warmup": WARMUP, "sequences": data, "order": order, "runs": runs})


def schedules():
    table = []
    for name, make in SCHEDULES.items():
        for total, warmup in ((10, 0), (10, 3), (7, 1), (100, 10), (1, 0)):
            optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            schedule = make(optimiser, warmup, total)
            rates = []
            for _ in range(total):
                rates.append(optimiser.param_groups[0]["lr"])
                optimiser.step()
                schedule.step()
            table.append({"schedule": name, "total": total, "warmup": warmup, "factors": rates})
    write("schedules.json", {"made_by": "goldens/train/make_long.py", "versions": VERSIONS, "table": table})


def lora():
    """Loss and gradients of low-rank maps whose B is not zero, so that A has a gradient too."""
    data, _ = sequences()
    rows = data[:4]
    out, tensors = {}, {}
    for name, targets in {"llama-gqa": ["q_proj", "v_proj"], "llama-gqa-tied-bf16": "all-linear"}.items():
        torch.manual_seed(3)
        model = LlamaForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32, attn_implementation="eager")
        config = LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0, target_modules=targets, init_lora_weights=False)
        model = get_peft_model(model, config).train()
        loss = summed(model, rows) / sum(len(row["labels"]) for row in rows)
        loss.backward()
        for key, p in model.named_parameters():
            if p.requires_grad:
                # base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight → model.layers.0.self_attn.q_proj.lora_A
                short = key.removeprefix("base_model.model.").removesuffix(".default.weight")
                tensors[f"{name}/{short}"] = p.detach().clone()
                tensors[f"{name}/grad.{short}"] = p.grad.clone()
        out[name] = {"rank": 3, "alpha": 6, "targets": targets, "loss": float(loss.detach())}
        print("lora", name, out[name]["loss"])
    save_file(tensors, HERE / "lora.safetensors")
    (HERE / "lora.safetensors").chmod(0o644)
    write("lora.json", {"made_by": "goldens/train/make_long.py", "versions": VERSIONS, "sequences": rows, "models": out})


def write(name, value):
    (HERE / name).write_text(json.dumps(value) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    schedules()
    lora()
    long()
