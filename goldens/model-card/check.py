"""Opens *our* card as the hub's own client does, and says what it finds. usage: check.py PUBLISHED_FOLDER"""
import sys
from pathlib import Path

from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index

card = ModelCard.load(Path(sys.argv[1]) / "README.md", ignore_metadata_errors=False)
results = card.data.eval_results
assert results, "no results"
again = eval_results_to_model_index(card.data.model_name, results)
assert again == card.data.to_dict()["model-index"]
print(f"{card.data.model_name}: {len(results)} metrics")
for each in results:
    print(f"  {each.dataset_type}/{each.dataset_config}: {each.metric_name} = {each.metric_value}")
