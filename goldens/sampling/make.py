"""Distributions after transformers' logits processors, and the tokens that uniform numbers draw from them.

Needs torch, transformers, numpy, safetensors. Usage: python make.py
A token is the first, largest probability first (of equals the smaller id), at which the running sum passes u; computed
in float64. Every kept token whose interval is wide enough is asked for just inside both its edges.
"""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from transformers import (
    LlamaForCausalLM,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

HERE = Path(__file__).parent
V = 1200  # more than the 512 columns that are sorted first
EDGE = 2e-5  # how far inside an interval's edge: float32 sums differ by less
CASES = [
    {"logits": "sharp", "temperature": 0.7},
    {"logits": "sharp", "temperature": 1.0, "top_k": 1},
    {"logits": "sharp", "temperature": 1.0, "top_k": 40},
    {"logits": "sharp", "temperature": 1.3, "top_p": 0.9},
    {"logits": "sharp", "temperature": 0.8, "top_k": 50, "top_p": 0.95},
    {"logits": "sharp", "temperature": 0.9, "top_k": 20, "top_p": 0.5, "repetition_penalty": 1.3},
    {"logits": "sharp", "temperature": 1.0, "repetition_penalty": 1.8},
    {"logits": "sharp", "temperature": 1.0, "repetition_penalty": 0.5, "top_p": 0.3},
    {"logits": "flat", "temperature": 1.0},
    {"logits": "flat", "temperature": 2.0, "top_p": 0.97},
    {"logits": "flat", "temperature": 1.0, "top_k": 900},
    {"logits": "flat", "temperature": 1.0, "top_k": 5000, "top_p": 0.999},
    {"logits": "ties", "temperature": 1.0, "top_k": 10},
    # top-p must not cut among equals: torch's sort leaves open which of them stay.
    {"logits": "ties", "temperature": 0.5, "top_k": 3, "top_p": 0.999},
]


def processors(case):
    found = []
    if "repetition_penalty" in case:
        found.append(RepetitionPenaltyLogitsProcessor(case["repetition_penalty"]))
    if case["temperature"] != 1.0:
        found.append(TemperatureLogitsWarper(case["temperature"]))
    if "top_k" in case:
        found.append(TopKLogitsWarper(case["top_k"], min_tokens_to_keep=1))
    if "top_p" in case:
        found.append(TopPLogitsWarper(case["top_p"], min_tokens_to_keep=1))
    return found


CHAINS = [
    {"temperature": 1.0, "top_k": 12},
    {"temperature": 1.4, "top_p": 0.8},
    {"temperature": 0.8, "top_k": 30, "top_p": 0.9, "repetition_penalty": 1.5},
    {"temperature": 1.0},
]


@torch.no_grad()
def chains(random):
    """Whole continuations of the tiny models' prompts, token by token, the uniform numbers away from every edge."""
    made = []
    for name in ["llama-tied", "llama-gqa"]:
        folder = HERE.parent / "models" / name
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        prompts = json.loads((folder / "golden.json").read_text())["input_ids"][:4]
        for case in CHAINS:
            for prompt in prompts:
                ids, draws = list(prompt), []
                for _ in range(20):
                    scores = model(torch.tensor([ids])).logits[:, -1]
                    for processor in processors(case):
                        scores = processor(torch.tensor([ids]), scores)
                    p = torch.softmax(scores.double(), -1)[0].numpy()
                    order = np.argsort(-p, kind="stable")
                    ends = np.cumsum(p[order])
                    while True:
                        u = float(np.float32(random.random()))
                        if u < 1 and np.abs(ends - u).min() > 2e-4:
                            break
                    draws.append(u)
                    ids.append(int(order[np.searchsorted(ends, u, side="right")]))
                made.append(
                    {"model": name, **case, "prompt": prompt, "uniforms": draws, "tokens": ids[len(prompt) :]}
                )
        # Greedy with a penalty, by transformers' own generate.
        for prompt in prompts:
            out = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                do_sample=False,
                repetition_penalty=1.3,
                max_new_tokens=20,
                min_new_tokens=20,
                eos_token_id=[],
                pad_token_id=0,
            )
            made.append(
                {
                    "model": name,
                    "temperature": 0.0,
                    "repetition_penalty": 1.3,
                    "prompt": prompt,
                    "uniforms": [0.5] * 20,
                    "tokens": out[0, len(prompt) :].tolist(),
                }
            )
    return made


def main():
    generator = torch.Generator().manual_seed(20)
    logits = {
        "sharp": torch.randn(V, generator=generator) * 3.0,
        "flat": torch.randn(V, generator=generator) * 0.5,
        # Seven values only: the k-th largest has many equals, all of which stay.
        "ties": torch.randint(-3, 4, (V,), generator=generator).float() * 1.5,
    }
    seen = sorted(set(torch.randint(0, V, (200,), generator=generator).tolist()))
    random = np.random.default_rng(7)
    cases, probabilities = [], []
    for case in CASES:
        scores = logits[case["logits"]][None].clone()
        ids = torch.tensor([seen])
        for processor in processors(case):
            scores = processor(ids, scores)
        p = torch.softmax(scores.double(), -1)[0].numpy()
        order = np.argsort(-p, kind="stable")
        ends = np.cumsum(p[order])
        begins = ends - p[order]
        points = []
        for token, begin, end in zip(order, begins, ends):
            if end - begin > 4 * EDGE:
                points += [(begin + EDGE, int(token)), (end - EDGE, int(token))]
        if len(points) > 60:  # the first ones, the last ones, and some between
            middle = random.choice(np.arange(16, len(points) - 16), 28, replace=False)
            points = points[:16] + [points[i] for i in sorted(middle)] + points[-16:]
        points = [(float(np.float32(u)), t) for u, t in points]
        cases.append(
            {
                **case,
                "kept": int((p > 0).sum()),
                "uniforms": [u for u, _ in points],
                "tokens": [t for _, t in points],
            }
        )
        probabilities.append(p.astype(np.float32))
    save_file(
        {**{k: v.numpy() for k, v in logits.items()}, "probabilities": np.stack(probabilities)},
        HERE / "golden.safetensors",
    )
    (HERE / "golden.json").write_text(
        json.dumps(
            {
                "made_by": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
                "seen": seen,
                "cases": cases,
                "chains": chains(random),
            }
        )
        + "\n"
    )


main()
