"""Keys that any config class of transformers declares: by family, which of them change what its class computes when they stand in its
config.json.

Run: python goldens/config/make_foreign.py   (torch, transformers 5; goldens/models first)
Writes foreign.json: all keys, and for each family those with which logits or the weights asked for differ, or it fails, for at least one
of VALUES; all others are idle in it, whatever their value. Keys that its own config.json has are left out. Of TRIED, which no class declares,
what becomes of a plain LLaMA: `same`, `other`, or an `error`. Writes src/models/transformers-keys.ts too: the keys that no family here reads.
"""
import importlib
import inspect
import json
import pkgutil
import shutil
import tempfile
import textwrap
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PretrainedConfig

from quiet import quiet

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
FAMILIES = ["llama-untied", "mistral-window", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3", "phi",
            "phi3-4k", "gpt2", "gpt_neox-parallel", "gptj", "olmo2", "granite", "stablelm", "starcoder2-window", "smollm3", "cohere",
            "falcon-7b", "bloom", "opt", "t5", "mt5"]
VALUES = [3, True, False, 0.5, "x", [1, 2], {"a": 1}]


TRIED = {
    "loss_type": ["ForCausalLM", "x", None],
    "quantization_config": [None, {}, {"quant_method": None}, {"load_in_8bit": False, "load_in_4bit": False}, {"quant_method": "gptq", "bits": 4},
                            {"quant_method": "bitsandbytes", "load_in_8bit": False, "load_in_4bit": False, "llm_int8_threshold": 6.0},
                            {"quant_method": "bitsandbytes", "load_in_8bit": True}],
}
SOURCE = HERE.parent.parent / "src" / "models" / "transformers-keys.ts"
HEAD = """// Keys of config.json that some class of transformers declares, made by goldens/config/make_foreign.py: whatever their values, a
// model of a family here computes the same, unless its own config.json has them, which its family reads by itself.

export const TRANSFORMERS_KEYS: ReadonlySet<string> = new Set(
  `
"""


def declared():
    keys = set()
    for _, name, _ in pkgutil.iter_modules(transformers.models.__path__):
        try:
            module = importlib.import_module(f"transformers.models.{name}.configuration_{name}")
        except ImportError:
            continue
        for cls in vars(module).values():
            if inspect.isclass(cls) and issubclass(cls, PretrainedConfig):
                keys.update(key for base in cls.__mro__ for key in vars(base).get("__annotations__", {}))
    return sorted(key for key in keys if not key.startswith("_"))


def computed(folder, config):
    (folder / "config.json").write_text(json.dumps(config))
    two = config["model_type"] in ("t5", "mt5")
    auto = AutoModelForSeq2SeqLM if two else AutoModelForCausalLM
    model, info = auto.from_pretrained(folder, dtype=torch.float32, local_files_only=True, output_loading_info=True)
    ids = torch.tensor([[1, 5, 9, 4, 7, 6, 12, 3]])
    with torch.no_grad():
        logits = model.eval()(ids, **({"decoder_input_ids": ids.flip(1)} if two else {})).logits
    return logits, sorted(info["missing_keys"]), sorted(info["unexpected_keys"]), sorted(map(str, info["mismatched_keys"]))


def same(folder, config, more, plain):
    try:
        made = computed(folder, {**config, **more})
    except Exception:
        return False
    return made[1:] == plain[1:] and torch.equal(made[0], plain[0])


def read(folder, config, keys, value, plain):
    """Those of the keys that count, by halves."""
    if not keys or same(folder, config, {key: value for key in keys}, plain):
        return []
    if len(keys) == 1:
        return list(keys)
    half = len(keys) // 2
    return read(folder, config, keys[:half], value, plain) + read(folder, config, keys[half:], value, plain)


def outcome(key, value):
    folder = MODELS / "llama-untied"
    config = json.loads((folder / "config.json").read_text())
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copy(folder / "model.safetensors", temporary)
        plain = computed(Path(temporary), config)
        try:
            made = computed(Path(temporary), {**config, key: value})
        except Exception as error:
            return f"error: {type(error).__name__}"
        return "same" if made[1:] == plain[1:] and torch.equal(made[0], plain[0]) else "other"


def main():
    quiet()
    torch.set_num_threads(1)
    keys = declared()
    out = {"made_by": "goldens/config/make_foreign.py", "values": VALUES, "keys": keys, "read": {},
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
    for name in FAMILIES:
        config = json.loads((MODELS / name / "config.json").read_text())
        others = [key for key in keys if key not in config]
        with tempfile.TemporaryDirectory() as temporary:
            for file in (MODELS / name).glob("*.safetensors"):
                shutil.copy(file, temporary)
            plain = computed(Path(temporary), config)
            counted = set()
            for value in VALUES:
                counted.update(read(Path(temporary), config, [key for key in others if key not in counted], value, plain))
        out["read"][name] = sorted(counted)
        print(name, len(counted), flush=True)
    out["tried"] = {key: [{"value": value, "outcome": outcome(key, value)} for value in values] for key, values in TRIED.items()}
    read_by_any = {key for read in out["read"].values() for key in read}
    words = textwrap.fill(" ".join(key for key in keys if key not in read_by_any), 140, initial_indent="  ", subsequent_indent="  ",
                          break_on_hyphens=False)
    SOURCE.write_text(HEAD + words + "`\n    .trim()\n    .split(/\\s+/),\n);\n")
    (HERE / "foreign.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
