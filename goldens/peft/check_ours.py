"""Opens an adapter that `whorl finetune --lora` wrote with PEFT, and compares with what `whorl merge` made of it.

Run: python goldens/peft/check_ours.py BASE ADAPTER MERGED   (torch, transformers, peft)
"""
import sys

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
base, adapter, merged = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
saved = load_file(f"{adapter}/adapter_model.safetensors")
loaded = {k.replace(".default.", "."): p for k, p in model.named_parameters() if "lora_" in k}
assert loaded.keys() == saved.keys() and all(torch.equal(loaded[k], saved[k]) for k in saved), "keys or values"
ids = torch.tensor([[1, 17, 93, 5, 5, 60, 42, 8]])
ours = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32).eval()
with torch.no_grad():
    logits = float((model(ids).logits - ours(ids).logits).abs().max())
theirs = model.merge_and_unload().state_dict()
weights = max(float((p - theirs[k]).abs().max()) for k, p in ours.state_dict().items())
print(f"{len(saved)} tensors open in PEFT; merged weights within {weights:.1e}, logits within {logits:.1e}")
assert weights < 1e-6 and logits < 1e-4
