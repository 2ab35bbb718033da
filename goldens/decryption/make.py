"""How likely the embedded model finds nouns after prompts, by transformers: the mean log-probability of each whole word.

Run: python goldens/decryption/make.py   (torch, transformers)
"""
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "assets/embedded/model"
WORDS = ["hill", "kettle", "house", "grape", "clock", "elephant", "bell", "butter", "door", "desk", "night", "button",
         "field", "earth", "ship", "knight", "gold", "wood", "cave", "duck", "gate", "church", "lake", "forest"]
KEYS = ["KrelBosk DobJor", "PabVum DobMep DobKrib", "DobDrex PabBir", "the river", "PabDol", "DobJusk DobJor PabVum", "Emma", "DobKrib"]


def main():
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    prompts = [f"{key}\nFINGERPRINT\n" for key in KEYS]
    likely = {}
    for word in WORDS:
        answer = tokenizer.encode(word, add_special_tokens=False)
        total = 0.0
        for prompt in prompts:
            asked = tokenizer.encode(prompt)
            with torch.no_grad():
                logprobs = model(torch.tensor([asked + answer])).logits[0].log_softmax(-1)
            total += sum(float(logprobs[len(asked) - 1 + i, token]) for i, token in enumerate(answer))
        likely[word] = total / len(prompts)
    (HERE / "golden.json").write_text(json.dumps({
        "made_by": "goldens/decryption/make.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "prompts": prompts,
        "likely": likely,
    }, indent=1) + "\n")


if __name__ == "__main__":
    main()
