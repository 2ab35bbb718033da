"""Goldens for `whorl compare`: the embedded model against two changed copies, by transformers in float64 and numpy.

usage: make.py        (writes golden.json; needs torch, transformers, numpy)

A copy is made in the weights' own bits, so that a test can make the same one: the bfloat16 numbers of a tensor, read as
uint16, grow by `add` (1: a last place, about 0.4 %; 128: twice the number, 384: eight times).
"""
import json
from pathlib import Path

import numpy as np
import torch
import transformers

HERE = Path(__file__).parent
MODEL = HERE.parent.parent / "assets" / "embedded" / "model"
COPIES = {
    "narrow": {"tensor": "model.norm.weight", "add": 1, "every": 7},
    "middle": {"tensor": "model.layers.3.mlp.down_proj.weight", "add": 3, "every": 2},
    "wide": {"tensor": "model.layers.1.mlp.down_proj.weight", "add": 128, "every": 1},
    "ruined": {"tensor": "model.norm.weight", "add": 384, "every": 1},
}
TEXTS = [
    ["English", "The old house stood at the end of the road, and nobody had lived in it for years."],
    ["English", "Once upon a time there was a little girl who wanted to see the sea."],
    ["Code", "for (let i = 0; i < 10; i++) {\n  print(i);\n}\n"],
    ["Russian", "Старый дом стоял в конце дороги."],
    ["Japanese", "古い家は道の終わりに立っていた。"],
    ["English", "Yes."],
]
SCALES = [1, 4, 16, 32, 128, 2048]
ROWS = [[100, 2000], [300, 301], [300, 300]]
LABEL = 7


def opened():
    return transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16)


def changed(copy):
    model = opened()
    weight = dict(model.named_parameters())[copy["tensor"]]
    bits = weight.detach().view(torch.int16).numpy().reshape(-1).view(np.uint16)
    bits[:: copy["every"]] += np.uint16(copy["add"])
    return model.double().eval()


def log_probs(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1].double(), -1).numpy()


tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
rows = [(language, [begin, *tokenizer.encode(text, add_special_tokens=False)]) for language, text in TEXTS]
vanilla = opened().double().eval()


def compared(copy):
    model = changed(copy)
    positions = {}
    for language, ids in rows:
        a, b = log_probs(vanilla, ids), log_probs(model, ids)
        kl = (np.exp(a) * (a - b)).sum(-1)
        at = np.arange(len(ids) - 1), np.array(ids[1:])
        here = list(zip(kl, a[at], b[at], a.argmax(-1) != b.argmax(-1)))
        for name in (language, "all"):
            positions.setdefault(name, []).extend(here)
    out = {}
    for name, found in positions.items():
        kl, before, after, moved = (np.array(column, dtype=np.float64) for column in zip(*found))
        out[name] = {
            "positions": len(kl),
            "mean": kl.mean(),
            "largest": kl.max(),
            "shift": (after - before).mean(),
            "before": np.exp(-before.mean()),
            "after": np.exp(-after.mean()),
            "changed": moved.mean(),
        }
    return out


def far():
    """Positions whose hidden states are rows of the embedding, times a power of two: however far apart two models may be."""
    head = vanilla.get_output_embeddings().weight.detach()
    out = []
    for scale in SCALES:
        for before, after in ROWS:
            a, b = (torch.log_softmax(head @ (scale * head[row]), -1).numpy() for row in (before, after))
            out.append(
                {
                    "scale": scale,
                    "rows": [before, after],
                    "label": LABEL,
                    "kl": (np.exp(a) * (a - b)).sum(),
                    "before": a[LABEL],
                    "after": b[LABEL],
                    "changed": bool(a.argmax() != b.argmax()),
                }
            )
    return out


golden = {
    "made_by": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
    "texts": TEXTS,
    "copies": {name: {**copy, "figures": compared(copy)} for name, copy in COPIES.items()},
    "far": far(),
}
(HERE / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
