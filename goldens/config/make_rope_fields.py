"""Fields of rope_scaling by its kind: which of them transformers does not look at.

Run: python goldens/config/make_rope_fields.py   (torch, transformers 5; goldens/models first)
Writes rope-fields.json: for each kind of KINDS the fields of FIELDS, beside those it has, with which a LLaMA's logits are the same bits.
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
MODEL = HERE.parent / "models" / "llama-untied"
CONFIG = json.loads((MODEL / "config.json").read_text())
PAIRS = (CONFIG.get("head_dim") or CONFIG["hidden_size"] // CONFIG["num_attention_heads"]) // 2
KINDS = {
    "default": {},
    "linear": {"factor": 2.0},
    "dynamic": {"factor": 2.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 8},
    "llama3": {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8},
    "longrope": {"factor": 4.0, "original_max_position_embeddings": 8, "long_factor": [2.0] * PAIRS, "short_factor": [1.5] * PAIRS},
}
FIELDS = {"attention_factor": 1.7, "beta_fast": 5.0, "beta_slow": 2.0, "factor": 3.0, "high_freq_factor": 9.0, "low_freq_factor": 2.0,
          "long_factor": [3.0] * PAIRS, "short_factor": [4.0] * PAIRS, "long_mscale": 1.4, "short_mscale": 1.3, "mrope_interleaved": True,
          "mrope_section": [1, 1, 2], "mscale": 2.0, "mscale_all_dim": 0.3, "truncate": False, "alpha": 3.0}


def logits(rope):
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copy(MODEL / "model.safetensors", temporary)
        config = {key: value for key, value in CONFIG.items() if not key.startswith("rope_")}
        (Path(temporary) / "config.json").write_text(json.dumps({**config, "rope_theta": 500.0, "rope_scaling": rope}))
        model = AutoModelForCausalLM.from_pretrained(temporary, dtype=torch.float32, local_files_only=True).eval()
        with torch.no_grad():
            return model(torch.tensor([[(7 * i) % 60 + 3 for i in range(CONFIG["max_position_embeddings"] + 8)]])).logits


quiet()
out = {"made_by": "goldens/config/make_rope_fields.py", "kinds": KINDS, "fields": FIELDS, "idle": {}, "counts": {},
       "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
for kind, own in KINDS.items():
    rope = {"rope_type": kind, **own}
    plain = logits(rope)
    same = {field: torch.equal(logits({**rope, field: value}), plain) for field, value in FIELDS.items() if field not in own}
    out["idle"][kind] = [field for field, idle in same.items() if idle]
    out["counts"][kind] = [field for field, idle in same.items() if not idle]
    print(kind, "reads", out["counts"][kind])
(HERE / "rope-fields.json").write_text(json.dumps(out, indent=1) + "\n")
