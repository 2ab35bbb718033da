"""Goldens for PEFT's LoRA adapters on a tiny LLaMA (goldens/models/llama-gqa): adapters as save_pretrained writes them, the
weights that merge_and_unload makes, and logits with the adapter.

usage: make.py          writes plain/, patterns/, golden.safetensors, golden.json
       make.py check DIR MERGED BASE   an adapter and a merged model written by Whorl: PEFT opens one and gives the other's
                                       logits
"""
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
BASE = HERE.parent / "models" / "llama-gqa"
IDS = torch.tensor([[1, 5, 9, 33, 2, 17, 40, 8]])
CONFIGS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    "patterns": dict(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj", "o_proj"], use_rslora=True,
                     rank_pattern={"down_proj": 2, "layers.1.self_attn.o_proj": 3}, alpha_pattern={"down_proj": 5}),
}


def base(path=BASE):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


@torch.no_grad()
def make():
    out, tensors = {}, {}
    for name, config in CONFIGS.items():
        torch.manual_seed(len(name))
        model = get_peft_model(base(), LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.1, **config)).eval()
        for key, p in model.named_parameters():
            if "lora_" in key:
                p.copy_(torch.randn_like(p) * 0.1)
        model.save_pretrained(HERE / name)
        (HERE / name / "README.md").unlink()
        path = HERE / name / "adapter_config.json"
        path.write_text(path.read_text().replace(str(BASE), "llama-gqa"))
        logits = model(IDS).logits[0]
        merged = model.merge_and_unload()
        before = base().state_dict()
        changed = [k for k, v in merged.state_dict().items() if not torch.equal(v, before[k])]
        out[name] = {"changed": changed, "ids": IDS[0].tolist()}
        tensors[f"{name}.logits"] = logits.contiguous()
        for key in changed[:3] + changed[-1:]:
            tensors[f"{name}.{key}"] = merged.state_dict()[key].contiguous()
    save_file(tensors, HERE / "golden.safetensors")
    made_by = {m: version(m) for m in ("torch", "transformers", "peft")}
    (HERE / "golden.json").write_text(json.dumps({"made_by": made_by, "adapters": out}, indent=1) + "\n")


@torch.no_grad()
def check(adapter, merged, path):
    model = PeftModel.from_pretrained(base(path), adapter).eval()
    other, plain = base(merged), base(path)(IDS).logits
    a, b = model(IDS).logits, other(IDS).logits
    print(json.dumps({"r": model.peft_config["default"].r, "largest_difference": float((a - b).abs().max()),
                      "moved": float((a - plain).abs().max())}))


if __name__ == "__main__":
    check(*sys.argv[2:]) if sys.argv[1:2] == ["check"] else make()
