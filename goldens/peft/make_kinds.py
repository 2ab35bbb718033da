"""More adapters as PEFT saves them and what `merge_and_unload` makes of them: some layers only, a head on a tied base.

Run: python goldens/peft/make_kinds.py   (torch, transformers, peft; goldens/models/ first)
A folder each in kinds/: what `save_pretrained` wrote and `merged.safetensors`, the tensors that are other ones; kinds.json.
"""
import json
import shutil
import warnings
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
KINDS = {
    "layers": ("llama-untied", dict(target_modules=["q_proj", "up_proj"], layers_to_transform=[1])),
    "layer-pattern": ("llama-untied", dict(target_modules=["v_proj"], layers_to_transform=0, layers_pattern="layers")),
    "layer-patterns": ("llama-untied", dict(target_modules=["v_proj"], layers_to_transform=[0, 1], layers_pattern=["h", "layers"])),
    "excluded": ("llama-untied", dict(target_modules=["q_proj", "v_proj"], exclude_modules=["layers.0.self_attn.q_proj"])),
    "tied-head": ("llama-tied", dict(target_modules=["lm_head", "layers.0.mlp.gate_proj"])),
}


def base(model):
    return LlamaForCausalLM.from_pretrained(HERE.parent / "models" / model, dtype=torch.float32)


warnings.simplefilter("ignore")
transformers.logging.set_verbosity(50)
shutil.rmtree(HERE / "kinds", ignore_errors=True)
out = {"made_by": "goldens/peft/make_kinds.py", "kinds": {},
       "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}}
for seed, (name, (model, config)) in enumerate(KINDS.items()):
    torch.manual_seed(seed)
    adapter = get_peft_model(base(model), LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=3, init_lora_weights=False, **config))
    folder = HERE / "kinds" / name
    adapter.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    saved = json.loads((folder / "adapter_config.json").read_text())
    saved["base_model_name_or_path"] = model
    for key in ("target_modules", "exclude_modules"):
        saved[key] = sorted(saved[key]) if isinstance(saved[key], list) else saved[key]
    (folder / "adapter_config.json").write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")
    before = {k: v.clone() for k, v in base(model).state_dict().items()}
    after = PeftModel.from_pretrained(base(model), folder).merge_and_unload().state_dict()
    changed = {k: v.contiguous().clone() for k, v in after.items() if not torch.equal(v, before[k])}
    save_file(changed, folder / "merged.safetensors")
    out["kinds"][name] = {"model": model, "changed": sorted(changed)}
    for file in folder.iterdir():
        file.chmod(0o644)
(HERE / "kinds.json").write_text(json.dumps(out, indent=1) + "\n")
