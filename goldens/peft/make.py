"""LoRA adapters saved by PEFT for the tiny model goldens/models/llama-untied, merged by PEFT, and ten steps of training.

Run: python goldens/peft/make.py   (torch, transformers, peft; goldens/models/ first)
A folder each: what `save_pretrained` wrote, `merged.safetensors` (the tensors that `merge_and_unload` changed) and the
merged model's logits in golden.json. `start` has B = 0: training begins there, its losses are in golden.json.
"""
import json
import shutil
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
MODEL = "llama-untied"
IDS = [1, 17, 93, 5, 5, 60, 42, 8]
STEPS, LR, CLIP = 10, 1e-2, 1.0

ADAPTERS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], lora_dropout=0.05),
    "patterns": dict(r=3, lora_alpha=5, target_modules=r".*layers\.\d+\.(self_attn\.k_proj|mlp\.down_proj)",
                     rank_pattern={"layers.1.self_attn.k_proj": 2}, alpha_pattern={"down_proj": 9, "^model.layers.1.self_attn.k_proj": 7},
                     use_rslora=True, fan_in_fan_out=False),
    "head": dict(r=2, lora_alpha=2, target_modules=["lm_head", "layers.0.mlp.gate_proj"]),
    "start": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
}


def base():
    return LlamaForCausalLM.from_pretrained(HERE.parent / "models" / MODEL, dtype=torch.float32, attn_implementation="eager")


def save(model, name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = MODEL  # not the path of the machine that made it
    config["target_modules"] = sorted(config["target_modules"]) if isinstance(config["target_modules"], list) else config["target_modules"]
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def random_b(model, seed):
    r = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data = torch.randn(p.shape, generator=r) * 0.1


def batches():
    r = torch.Generator().manual_seed(5)
    return [[torch.randint(3, 96, (n,), generator=r).tolist() for n in (6 + s % 3, 9)] for s in range(STEPS)]


def train(model, data):
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.0)
    losses = []
    for batch in data:
        rows = [model(torch.tensor([ids]), use_cache=False).logits[0][:-1] for ids in batch]
        wanted = torch.tensor([t for ids in batch for t in ids[1:]])
        loss = torch.nn.functional.cross_entropy(torch.cat(rows), wanted)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    out = {"made_by": "goldens/peft/make.py",
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
           "model": MODEL, "ids": IDS, "adapters": {}}
    for seed, (name, config) in enumerate(ADAPTERS.items()):
        torch.manual_seed(seed)
        model = get_peft_model(base(), LoraConfig(task_type="CAUSAL_LM", **config))
        if name == "start":
            folder = save(model, name)
            data = batches()
            out["training"] = {"lr": LR, "clip": CLIP, "batches": data, "losses": train(model, data)}
            continue
        random_b(model, seed)
        folder = save(model, name)
        model.eval()
        with torch.no_grad():
            adapted = model(torch.tensor([IDS])).logits[0]
            merged = model.merge_and_unload()
            logits = merged(torch.tensor([IDS])).logits[0]
        assert float((adapted - logits).abs().max()) < 1e-5
        before, after = base().state_dict(), merged.state_dict()
        changed = {k: v.contiguous() for k, v in after.items() if not torch.equal(v, before[k])}
        save_file(changed, folder / "merged.safetensors")
        (folder / "merged.safetensors").chmod(0o644)
        out["adapters"][name] = {"changed": sorted(changed), "logits": logits.tolist()}
        print(name, sorted(changed))
    print("losses", out["training"]["losses"])
    (HERE / "golden.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
