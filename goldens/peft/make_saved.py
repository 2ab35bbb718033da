"""Adapters that hold more than low-rank maps, and the model folders that PEFT's `merge_and_unload` and `save_pretrained` make.

Run: python goldens/peft/make_saved.py   (torch, transformers, peft; goldens/models/ first)
DoRA, biases, modules saved whole, rows of some tokens, grown vocabularies, parameters by name, a pickled adapter. A folder
each in saved/: what PEFT wrote, `merged.safetensors` (tensors that the base has otherwise or not) and in saved.json the
names that the saved folder's file has, with what its config says of tying and vocabulary.
"""
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
Q = ["layers.0.self_attn.q_proj"]
CASES = {
    "dora": ("llama-untied", dict(target_modules=["q_proj", "down_proj"], use_dora=True)),
    "dora-embedding": ("llama-untied", dict(target_modules=["embed_tokens", *Q], use_dora=True, use_rslora=True)),
    "dora-turned": ("gpt2", dict(target_modules=["c_attn"], use_dora=True, fan_in_fan_out=True)),
    "bias-all": ("gpt2", dict(target_modules=["attn.c_proj"], bias="all", fan_in_fan_out=True)),
    "bias-of-lora": ("gpt2", dict(target_modules=["attn.c_proj"], bias="lora_only", fan_in_fan_out=True)),
    "bias-low-rank": ("gpt2", dict(target_modules=["attn.c_proj"], lora_bias=True, fan_in_fan_out=True)),
    "saved": ("llama-untied", dict(target_modules=Q, modules_to_save=["embed_tokens", "lm_head", "norm"])),
    "saved-block": ("llama-untied", dict(target_modules=Q, modules_to_save=["layers.1.mlp"])),
    "saved-embedding-of-tied": ("llama-tied", dict(target_modules=Q, modules_to_save=["embed_tokens"])),
    "saved-head-of-tied": ("llama-tied", dict(target_modules=Q, modules_to_save=["lm_head"])),
    "saved-both-of-tied": ("llama-tied", dict(target_modules=Q, modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "tokens": ("llama-untied", dict(target_modules=Q, trainable_token_indices={"embed_tokens": [7, 3], "lm_head": [2]})),
    "tokens-of-tied": ("llama-tied", dict(target_modules=Q, trainable_token_indices=[3, 7])),
    "grown": ("llama-untied", dict(target_modules=Q, modules_to_save=["embed_tokens", "lm_head"]), dict(vocabulary=100)),
    "grown-tied": ("llama-tied", dict(target_modules=Q), dict(vocabulary=99, save_embedding_layers=True)),
    "grown-sharded": ("llama-sharded", dict(target_modules=Q, modules_to_save=["embed_tokens", "lm_head"]), dict(vocabulary=100)),
    "shrunk": ("llama-untied", dict(target_modules=["embed_tokens", "lm_head"]), dict(vocabulary=90)),
    "parameter": ("llama-untied", dict(target_modules=[], target_parameters=["q_proj.weight"])),
    "experts": ("mixtral", dict(target_modules=Q, target_parameters=["experts.gate_up_proj", "experts.down_proj"], use_rslora=True)),
    "experts-down": ("qwen2_moe", dict(target_modules=[], target_parameters=["layers.0.mlp.experts.down_proj"])),
    "experts-pattern": ("qwen3_moe", dict(target_modules=[], target_parameters=["mlp.experts.down_proj", "mlp.experts.gate_up_proj"],
                                          rank_pattern={"experts.gate_up_proj": 3}, alpha_pattern={"experts.down_proj": 7})),
    "begun-by-eva": ("llama-untied", dict(target_modules=Q)),
    "pickled": ("llama-untied", dict(target_modules=Q), dict(pickled=True)),
}


def base(model, vocabulary=None):
    made = AutoModelForCausalLM.from_pretrained(HERE.parent / "models" / model, dtype=torch.float32)
    if vocabulary:
        made.resize_token_embeddings(vocabulary, mean_resizing=False)
    return made


def plain(value):
    return sorted(value) if isinstance(value, (set, frozenset)) else value


def main():
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(50)
    torch.set_num_threads(1)
    shutil.rmtree(HERE / "saved", ignore_errors=True)
    out = {"made_by": "goldens/peft/make_saved.py", "cases": {},
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}}
    for seed, (name, (model, config, *more)) in enumerate(CASES.items()):
        options = more[0] if more else {}
        vocabulary = options.get("vocabulary")
        torch.manual_seed(seed)
        adapter = get_peft_model(base(model, vocabulary), LoraConfig(
            task_type="CAUSAL_LM", r=2, lora_alpha=3, init_lora_weights=False, **config))
        for p in adapter.parameters():
            if p.requires_grad:
                p.data += 0.1 * torch.randn_like(p)
        folder = HERE / "saved" / name
        adapter.save_pretrained(folder, save_embedding_layers=options.get("save_embedding_layers", "auto"),
                                safe_serialization=not options.get("pickled", False))
        (folder / "README.md").unlink(missing_ok=True)
        saved = json.loads((folder / "adapter_config.json").read_text())
        saved["base_model_name_or_path"] = model
        saved["target_modules"] = sorted(saved["target_modules"])
        if name == "begun-by-eva":  # as PEFT writes it where a data set was looked at first
            saved["init_lora_weights"] = "eva"
            saved["eva_config"] = {"rho": 2.0, "tau": 0.99, "use_label_mask": True, "label_mask_value": -100, "whiten": False, "adjust_scaling_factors": True}
        (folder / "adapter_config.json").write_text(json.dumps(saved, indent=2, sort_keys=True, default=plain) + "\n")
        merged = PeftModel.from_pretrained(base(model, vocabulary), folder).merge_and_unload()
        before = {k: v for f in (HERE.parent / "models" / model).glob("*.safetensors") for k, v in load_file(f).items()}
        with tempfile.TemporaryDirectory() as scratch:
            merged.save_pretrained(scratch)
            after = {k: v for f in Path(scratch).glob("*.safetensors") for k, v in load_file(f).items()}
            wrote = json.loads((Path(scratch) / "config.json").read_text())
        changed = {k: v for k, v in after.items() if k not in before or not torch.equal(v, before[k].float())}
        save_file(changed, folder / "merged.safetensors")
        out["cases"][name] = {"model": model, "changed": sorted(changed), "stored": sorted(after),
                              "tied": wrote["tie_word_embeddings"], "vocabulary": wrote["vocab_size"]}
        for file in folder.iterdir():
            file.chmod(0o644)
        print(name, sorted(changed), out["cases"][name]["tied"])
    (HERE / "saved.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
