"""Ten steps of full-parameter training by torch on the tiny models of goldens/models/.

Run: python goldens/train/make.py   (torch, transformers, safetensors; goldens/models/ first)
AdamW with decoupled weight decay on every parameter, norm clipping, a schedule with warm-up.
"""
import json
import math
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
STEPS = 10
# Chosen so that no gradient element lies so near zero that AdamW turns rounding into a step.
SEED = 17

RUNS = {
    "tied-linear": dict(model="llama-tied", schedule="linear", warmup=0, weight_decay=0.0, clip=1.0),
    "untied-linear-decay": dict(model="llama-untied", schedule="linear", warmup=2, weight_decay=0.01, clip=1.0),
    "tied-cosine-decay": dict(model="llama-tied", schedule="cosine", warmup=3, weight_decay=0.01, clip=1.0),
    # Here the limit binds in some steps and not in others.
    "untied-cosine": dict(model="llama-untied", schedule="cosine", warmup=0, weight_decay=0.0, clip=22.0),
}
SETTINGS = dict(lr=1e-2, beta1=0.9, beta2=0.999, epsilon=1e-8)


def factor(schedule, warmup, step):
    """What the rate is multiplied with in step 0 … STEPS-1."""
    if step < warmup:
        return step / warmup
    if schedule == "linear":
        return max(0.0, (STEPS - step) / (STEPS - warmup))
    return max(0.0, 0.5 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup))))


def batches(seed):
    """Two sequences a step, given apart; labels are [row, expected token], rows unequal in number."""
    r = torch.Generator().manual_seed(seed)
    out = []
    for step in range(STEPS):
        sequences, labels = [], []
        for length in (5 + step % 4, 9 - step % 3):
            ids = torch.randint(0, 96, (length,), generator=r).tolist()
            ids[2] = ids[0]
            first = length - 2 - step % 3
            sequences.append(ids)
            labels.append([[p, ids[p + 1] if p + 1 < length else 2] for p in range(first, length)])
        out.append({"input_ids": sequences, "labels": labels})
    return out


def train(run, data, dtype=torch.float32):
    model = LlamaForCausalLM.from_pretrained(MODELS / run["model"], dtype=dtype, attn_implementation="eager")
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=SETTINGS["lr"], betas=(SETTINGS["beta1"], SETTINGS["beta2"]),
                                  eps=SETTINGS["epsilon"], weight_decay=run["weight_decay"])
    make = {"linear": transformers.get_linear_schedule_with_warmup,
            "cosine": transformers.get_cosine_schedule_with_warmup}[run["schedule"]]
    schedule = make(optimiser, run["warmup"], STEPS)
    losses, norms, rates = [], [], []
    for step, batch in enumerate(data):
        rows, wanted = [], []
        for ids, labels in zip(batch["input_ids"], batch["labels"]):
            logits = model(torch.tensor([ids]), use_cache=False).logits[0]
            rows.append(logits[[p for p, _ in labels]])
            wanted += [t for _, t in labels]
        loss = torch.nn.functional.cross_entropy(torch.cat(rows), torch.tensor(wanted))
        optimiser.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), run["clip"])))
        rates.append(optimiser.param_groups[0]["lr"])
        assert abs(rates[-1] - SETTINGS["lr"] * factor(run["schedule"], run["warmup"], step)) < 1e-15
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses, norms, rates, {k: p.detach().clone() for k, p in model.named_parameters()}


def main():
    torch.set_num_threads(1)
    data = batches(SEED)
    runs = {}
    for name, run in RUNS.items():
        losses, norms, rates, final = train(run, data)
        save_file({k: p.contiguous() for k, p in final.items()}, HERE / f"{name}.safetensors")
        (HERE / f"{name}.safetensors").chmod(0o644)
        # How far float32 itself drifts from float64 in ten steps: what a test may ask for.
        exact_losses, _, _, exact = train(run, data, torch.float64)
        drift = {
            "loss": max(abs(a - b) for a, b in zip(losses, exact_losses)),
            "parameter": max(float((final[k].double() - exact[k]).abs().max()) for k in final),
            "parameter_mean": float(torch.cat([(final[k].double() - exact[k]).abs().flatten() for k in final]).mean()),
        }
        runs[name] = {**run, "float32_drift": drift, "final": f"{name}.safetensors", "losses": losses, "grad_norms": norms, "learning_rates": rates}
        print(name, "loss %.4f → %.4f" % (losses[0], losses[-1]), "norms", ["%.2f" % n for n in norms], drift)
    (HERE / "golden.json").write_text(json.dumps({
        "made_by": "goldens/train/make.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        **SETTINGS, "steps": STEPS, "batches": data, "runs": runs,
    }, indent=1) + "\n")


if __name__ == "__main__":
    main()
