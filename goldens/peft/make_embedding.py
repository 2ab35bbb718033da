"""LoRA adapters on the input embedding, saved by PEFT for tiny models, merged by PEFT, and ten steps of training.

Run: python goldens/peft/make_embedding.py   (torch, transformers, peft; goldens/models/ first)
Folders below embedding/ as make.py has them: `untied` (PEFT saves the base's table beside the maps), `tied` and
`tied-head` (the head is the same matrix, once adapted itself too); `start` begins with A = 0, its losses are in
embedding.json.
"""
import json

import make
import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

UNTIED, TIED = "llama-untied", "llama-gqa-tied-bf16"
ADAPTERS = {
    "untied": (UNTIED, dict(r=3, lora_alpha=5, target_modules=["embed_tokens", "q_proj"], use_rslora=True), "auto"),
    "tied": (TIED, dict(r=2, lora_alpha=6, target_modules=["embed_tokens", "v_proj"]), False),
    "tied-head": (TIED, dict(r=2, lora_alpha=3, target_modules=["embed_tokens", "lm_head"]), False),
    "start": (UNTIED, dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "v_proj"]), False),
}


def base(model):
    return AutoModelForCausalLM.from_pretrained(make.HERE.parent / "models" / model, dtype=torch.float32, attn_implementation="eager")


def randomise(model, seed):
    """What begins at zero is other numbers: B of linear layers, A of embeddings."""
    r = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if "lora_B" in name or "lora_embedding_A" in name:
            p.data = (torch.randn(p.shape, generator=r) * 0.1).to(p.dtype)


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    (make.HERE / "embedding").mkdir(exist_ok=True)
    out = {"made_by": "goldens/peft/make_embedding.py",
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
           "adapters": {}}
    for seed, (name, (source, config, saved)) in enumerate(ADAPTERS.items()):
        torch.manual_seed(seed)
        make.MODEL = source
        model = get_peft_model(base(source), LoraConfig(task_type="CAUSAL_LM", **config))
        model.save_pretrained_ = model.save_pretrained
        model.save_pretrained = lambda folder, m=model, s=saved: m.save_pretrained_(folder, save_embedding_layers=s)
        if name == "start":
            make.save(model, f"embedding/{name}")
            data = make.batches()
            out["training"] = {"model": source, "lr": make.LR, "clip": make.CLIP, "batches": data, "losses": make.train(model, data)}
            continue
        randomise(model, seed)
        folder = make.save(model, f"embedding/{name}")
        merged = model.merge_and_unload()
        before, after = base(source).state_dict(), merged.state_dict()
        changed = {k: v.contiguous().clone() for k, v in after.items() if not torch.equal(v, before[k])}
        if source == TIED:  # its file has the one matrix once
            assert torch.equal(changed.pop("lm_head.weight"), changed["model.embed_tokens.weight"])
        save_file(changed, folder / "merged.safetensors")
        (folder / "merged.safetensors").chmod(0o644)
        out["adapters"][name] = {"model": source, "changed": sorted(changed)}
        print(name, sorted(changed))
    print("losses", out["training"]["losses"])
    (make.HERE / "embedding.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
