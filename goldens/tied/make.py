"""What transformers makes of a tied head that is stored: beside the embedding, in its place, with other values.

Run: python goldens/tied/make.py   (torch, transformers, safetensors)
Writes golden.json: for each way to store the head of ../models/llama-tied, whether the opened model ties it, and logits.
"""
import json
import logging
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
MODEL = HERE.parent / "models" / "llama-tied"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
IDS = [1, 5, 9, 40, 77, 95, 12, 3]

plain = load_file(MODEL / "model.safetensors")
table = plain[EMBEDDING]
rest = {k: v for k, v in plain.items() if k != EMBEDDING}
WAYS = {
    "embedding": plain,
    "both": {**plain, HEAD: table.clone()},
    "head": {**rest, HEAD: table.clone()},
    "other values": {**plain, HEAD: table * 2},
    "one other value": {**plain, HEAD: torch.cat([table[:-1], table[-1:] + 1])},
}


def opened(tensors):
    with tempfile.TemporaryDirectory() as folder:
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        shutil.copy(MODEL / "config.json", folder)
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    tied = model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    with torch.no_grad():
        return {"tied": tied, "logits": model(torch.tensor([IDS])).logits[0, -1].tolist()}


transformers.logging.set_verbosity(logging.CRITICAL)
made = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
ways = {name: opened(tensors) for name, tensors in WAYS.items()}
(HERE / "golden.json").write_text(json.dumps({"made_by": made, "ids": IDS, "ways": ways}, indent=1) + "\n")
print({name: way["tied"] for name, way in ways.items()})
