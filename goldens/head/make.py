"""What changed rows of a tied head do to logits: transformers' logits before and after, in double precision.

Run: python goldens/head/make.py   (torch, transformers)
Of each model of goldens/models named below: rows `ids` of the embedding (none of them is in the prompts) are moved by
`shift`; at each position of each prompt the probability of these tokens before, KL(before || after), and the logarithm
of what the sum of e^logits has grown by. Logits of before are shifted so that nothing but the moved tokens differs.
"""
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
MODELS = ["llama-tied", "cohere", "gemma2", "granite", "phi-tied"]


def golden(name, seed):
    folder = HERE.parent / "models" / name
    prompts = json.loads((folder / "golden.json").read_text())["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    table = model.get_input_embeddings().weight
    assert table is model.get_output_embeddings().weight, "the head is not tied"
    used = {t for p in prompts for t in p}
    ids = [t for t in range(table.shape[0]) if t not in used][:3]
    generator = torch.Generator().manual_seed(seed)
    shift = (torch.randn(len(ids), table.shape[1], generator=generator, dtype=torch.float64) * 0.4).round(decimals=3)
    logits = lambda: torch.cat([model(torch.tensor([p]), use_cache=False).logits[0] for p in prompts])
    with torch.no_grad():
        before = logits()
        table[ids] += shift
        after = logits()
    rest = [t for t in range(table.shape[0]) if t not in ids]
    assert torch.equal(before[:, rest], after[:, rest]), "ordinary logits moved"
    p = before.softmax(-1)
    kl = (p * (before.log_softmax(-1) - after.log_softmax(-1))).sum(-1)
    growth = after.logsumexp(-1) - before.logsumexp(-1)
    assert float(kl.max()) > 1e-3
    return {"ids": ids, "shift": shift.tolist(), "probability": p[:, ids].tolist(), "kl": kl.tolist(),
            "partition": growth.tolist()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = {"made_by": "goldens/head/make.py",
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
           "models": {name: golden(name, 900 + i) for i, name in enumerate(MODELS)}}
    (HERE / "golden.json").write_text(json.dumps(out) + "\n")
