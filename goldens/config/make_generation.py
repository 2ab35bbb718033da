"""Which keys of generation_config.json change the greedy text of a tiny model in transformers.

Run: python goldens/config/make_generation.py   (torch, transformers 5; goldens/models first)
Writes generation.json: by key the value and whether `generate(do_sample=False)` gives the `same` tokens, `other` ones, or fails.
"""
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
MODEL = HERE.parent / "models" / "llama-untied"
KEYS = {
    "temperature": None, "top_p": 0.5, "top_k": 1, "do_sample": True, "_from_model_config": True, "max_length": 4000, "use_cache": False,
    "repetition_penalty": 1.5, "no_repeat_ngram_size": 1, "suppress_tokens": "first", "begin_suppress_tokens": "first",
    "bad_words_ids": "first", "sequence_bias": "first", "min_length": 20, "min_new_tokens": 12, "forced_bos_token_id": 7,
    "forced_eos_token_id": 7, "num_beams": 3, "exponential_decay_length_penalty": [1, 50.0], "guidance_scale": 3.0,
    "renormalize_logits": True, "remove_invalid_values": True, "typical_p": 0.5, "min_p": 0.5, "epsilon_cutoff": 0.01, "eta_cutoff": 0.01,
    "encoder_repetition_penalty": 1.5, "output_scores": False, "cache_implementation": None, "length_penalty": 2.0, "early_stopping": True,
    "num_return_sequences": 1, "pad_token_id": 0, "bos_token_id": 1,
}


def text(folder, ids):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    return model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)[0].tolist()


def main():
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(60)
    torch.set_num_threads(1)
    ids = torch.tensor([[1, 17, 93, 5]])
    out = {"made_by": "goldens/config/make_generation.py", "tried": {},
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
    with tempfile.TemporaryDirectory() as folder:
        for file in ("model.safetensors", "config.json"):
            shutil.copy(MODEL / file, folder)
        path = Path(folder) / "generation_config.json"
        plain_text = None
        for key, value in {"eos_token_id": None, **KEYS}.items():
            if plain_text and value == "first":
                first = plain_text[4]
                value = {"bad_words_ids": [[first]], "sequence_bias": [[[first], -100.0]]}.get(key, [first])
            # With an end that comes early: what puts it off, or forces it, shows.
            end = plain_text[8] if plain_text else None
            path.write_text(json.dumps({"eos_token_id": end, "pad_token_id": 0, key: value}))
            try:
                got = text(folder, ids)
            except Exception as error:
                out["tried"][key] = {"value": value, "outcome": "error: " + type(error).__name__}
                continue
            if plain_text is None:
                plain_text, reference = got, None
                path.write_text(json.dumps({"eos_token_id": got[8], "pad_token_id": 0}))
                reference = text(folder, ids)
                continue
            out["tried"][key] = {"value": value, "outcome": "same" if got == reference else "other"}
    (HERE / "generation.json").write_text(json.dumps(out, indent=1) + "\n")
    print({k: v["outcome"] for k, v in out["tried"].items()})


if __name__ == "__main__":
    main()
