"""Keys that one family's config.json has and others' folders carry, with the values that say "not used": does transformers compute
the same without them?

Run: python goldens/config/make_idle.py   (torch, transformers 5; goldens/models first)
Writes idle.json: for each family the keys that its logits do not depend on; keys that its own config.json has are left out.
"""
import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

from quiet import quiet

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
FAMILIES = ["llama-untied", "mistral-window", "qwen2", "qwen3", "gemma", "gemma2", "phi", "phi3-4k", "gpt2", "gpt_neox-parallel",
            "olmo2", "granite", "stablelm", "starcoder2-window", "smollm3", "cohere", "falcon-7b", "bloom", "opt", "mixtral", "gptj"]
KEYS = {
    "attention_bias": False, "mlp_bias": False, "qkv_bias": False, "attn_bias": False, "use_bias": False, "bias": False,
    "norm_topk_prob": False, "mup_enabled": False, "decoder_sparse_step": 1, "num_nextn_predict_layers": 0, "scale_emb": 1,
    "rope_ratio": 1, "max_window_layers": 28, "hidden_act": "swish",
    "fp16": True, "bf16": True, "fp32": False, "seed": 1, "seq_length": 2048, "ffn_dropout": 0.1, "resid_dropout": 0.1,
    "embed_dropout": 0.1, "attn_dropout": 0.1, "unsloth_tiled_mlp": True, "tokenizer_model_max_length": 10,
    "tokenizer_padding_side": "right", "training_dtype": "bfloat16", "trust_remote_code": True,
}


def logits(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    with torch.no_grad():
        return model(torch.tensor([[1, 5, 9, 4, 7, 6, 12, 3]])).logits


quiet()
out = {"made_by": "goldens/config/make_idle.py", "keys": KEYS, "same": {},
       "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
for family in FAMILIES:
    config = json.loads((MODELS / family / "config.json").read_text())
    plain = logits(MODELS / family)
    same = []
    for key, value in KEYS.items():
        if key in config and key != "hidden_act":
            continue
        if key == "hidden_act" and config.get(key) != "silu":
            continue
        with tempfile.TemporaryDirectory() as temporary:
            for file in (MODELS / family).glob("*.safetensors"):
                shutil.copy(file, temporary)
            (Path(temporary) / "config.json").write_text(json.dumps({**config, key: value}))
            try:
                if torch.equal(logits(temporary), plain):
                    same.append(key)
            except Exception as error:
                print(family, key, type(error).__name__)
    out["same"][family] = same
(HERE / "idle.json").write_text(json.dumps(out, indent=1) + "\n")
