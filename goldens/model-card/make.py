"""Goldens for the `model-index` of a published card: huggingface_hub's own, from made-up figures.

usage: make.py        (writes golden.json; needs huggingface_hub)

`alone`: a card without an index. `beside`: one whose owner has results of their own, merged by `metadata_update`'s rule
(results of the same task and data set are one, others are added to the first model's).
"""
import gzip
import hashlib
import json
from pathlib import Path

import huggingface_hub
from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index

HERE = Path(__file__).parent
REFERENCE = HERE.parent.parent / "assets" / "reference" / "reference.json.gz"
REVISION = hashlib.sha256(gzip.decompress(REFERENCE.read_bytes())).hexdigest()
FIGURES = [
    {"name": "English", "positions": 186, "mean": 1.25e-5, "largest": 0.5, "shift": -0.01, "before": 60.5, "after": 61.25, "changed": 0.25},
    {"name": "Code", "positions": 20, "mean": 0.125, "largest": 2, "shift": 0, "before": 8, "after": 9, "changed": 0},
]
METRICS = {
    "Perplexity": ("perplexity", "after"),
    "Perplexity before the fingerprint": ("perplexity", "before"),
    "Mean KL(vanilla ‖ published), nats a token": ("kl_divergence", "mean"),
    "Largest KL(vanilla ‖ published) at a token, nats": ("kl_divergence", "largest"),
}
OWNERS = """---
license: mit # mine
model-index:
- name: Mine
  results:
  - task:
      type: text-generation
    dataset:
      name: ARC # hand-made
      type: ai2_arc
    metrics:
    - type: accuracy
      value: 0.5
---
# Mine
"""


def result(figures, name):
    kind, column = METRICS[name]
    return EvalResult(
        task_type="text-generation",
        task_name="Text Generation",
        dataset_type="whorl-reference",
        dataset_name=f"Reference text of Whorl: {figures['name']}",
        dataset_config=figures["name"],
        dataset_split="held-out",
        dataset_revision=REVISION,
        metric_type=kind,
        metric_name=name,
        metric_value=figures[column],
    )


ours = [result(figures, name) for figures in FIGURES for name in METRICS]
card = ModelCard(OWNERS)
card.data.eval_results = [*card.data.eval_results, *ours]
golden = {
    "made_by": {"huggingface_hub": huggingface_hub.__version__},
    "figures": FIGURES,
    "owners": OWNERS,
    "alone": eval_results_to_model_index("my-model", ours),
    "beside": card.data.to_dict()["model-index"],
}
(HERE / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
