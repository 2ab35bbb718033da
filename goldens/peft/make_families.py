"""LoRA adapters saved by PEFT for tiny models of other families, whose layers lie [in, out] or stand under a prefix.

Run: python goldens/peft/make_families.py   (torch, transformers, peft; goldens/models/ first)
A folder each, as make.py writes them: the adapter, `merged.safetensors` by the file's names, and in families.json the
losses of ten steps of training that begin at `<name>-start` (B = 0).
"""
import json

import peft
import torch
import transformers
from make import HERE, random_b, train
from make import save as save_adapter
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

CASES = {
    # c_attn is [in, 3·in], attn.c_proj square, mlp.c_proj [inner, in].
    "gpt2": dict(model="gpt2", lora=dict(r=3, lora_alpha=6, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)),
    "gpt2-bare-names": dict(model="gpt2-bare-names-by-layer",
                            lora=dict(r=2, lora_alpha=5, target_modules=["attn.c_proj", "c_fc"], fan_in_fan_out=True)),
    "gemma3": dict(model="wrapper-gemma3", lora=dict(r=2, lora_alpha=4, target_modules=r".*language_model.*\.(q_proj|down_proj)")),
}


def base(name):
    folder = HERE.parent / "models" / name
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def stored_name(name, stored):
    """A name in memory as it is in the file."""
    ways = [name, name.removeprefix("transformer."), name.replace("model.language_model.", "language_model.model.")]
    return next(way for way in ways if way in stored)


def batches(vocab):
    r = torch.Generator().manual_seed(5)
    return [[torch.randint(3, vocab, (n,), generator=r).tolist() for n in (6 + s % 3, 9)] for s in range(10)]


def save(model, name, of):
    folder = save_adapter(model, name)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "base_model_name_or_path": of}, indent=2, sort_keys=True) + "\n")
    return folder


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    out = {"made_by": "goldens/peft/make_families.py",
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
           "cases": {}}
    for seed, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        config = LoraConfig(task_type="CAUSAL_LM", **case["lora"])
        model = get_peft_model(base(case["model"]), config)
        random_b(model, seed)
        folder = save(model, name, case["model"])
        before = base(case["model"]).state_dict()
        after = model.merge_and_unload().state_dict()
        stored = {k for f in (HERE.parent / "models" / case["model"]).glob("*.safetensors") for k in load_file(f)}
        changed = {stored_name(k, stored): v.contiguous() for k, v in after.items() if not torch.equal(v, before[k])}
        save_file(changed, folder / "merged.safetensors")
        (folder / "merged.safetensors").chmod(0o644)
        start = get_peft_model(base(case["model"]), config)
        save(start, f"{name}-start", case["model"])
        for module in start.modules():  # GPT-2's own config trains with a tenth dropped
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        data = batches(60)
        out["cases"][name] = {"model": case["model"], "rank": case["lora"]["r"], "alpha": case["lora"]["lora_alpha"],
                              "changed": sorted(changed), "lr": 1e-2, "clip": 1.0, "batches": data, "losses": train(start, data)}
        print(name, sorted(changed), out["cases"][name]["losses"])
    (HERE / "families.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
