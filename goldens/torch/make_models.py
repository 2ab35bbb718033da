"""Tiny models of ../models with their weights as torch saves them: whole, in shards, and in the layout before torch 1.6.

    python goldens/torch/make_models.py    # needs torch and safetensors; writes models/<layout>/ beside this file

The tensors are those of ../models/<model>/model.safetensors, which the tests compare with.
"""
import json, pathlib, shutil
import torch
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).parent
for layout, model in {"whole": "qwen2", "legacy": "gemma3-old-half", "sharded": "llama-tied"}.items():
    source, out = HERE.parent / "models" / model, HERE / "models" / layout
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "config.json", out)
    state = load_file(source / "model.safetensors")
    (out / "model.txt").write_text(f"{model}\ntorch {torch.__version__}\n")
    if layout != "sharded":
        torch.save(state, out / "pytorch_model.bin", _use_new_zipfile_serialization=layout == "whole")
        continue
    names, shards = sorted(state), ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    where = {name: shards[i % 2] for i, name in enumerate(names)}
    for shard in shards:
        torch.save({name: state[name] for name in names if where[name] == shard}, out / shard)
    (out / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}, indent=1) + "\n")
