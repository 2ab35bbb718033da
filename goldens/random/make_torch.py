"""torch's permutations, for test/base/torch-random.test.ts. Run: python goldens/random/make_torch.py (torch)

Short ones whole, long ones as the SHA-256 of their numbers in decimal, commas between.
"""
import hashlib, json, pathlib
import torch

CASES = [(1, 0), (2, 42), (9, 42), (9, 43), (100, 2**32 + 7), (100, 7), (5, 2**63 - 1), (625, 1), (52002, 42)]


def permutation(n, seed):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return {"n": n, "seed": str(seed), "order": order if n <= 100 else None,
            "sha256": hashlib.sha256(",".join(map(str, order)).encode()).hexdigest()}


golden = {"torch": torch.__version__, "permutations": [permutation(n, seed) for n, seed in CASES]}
pathlib.Path(__file__).with_name("torch.json").write_text(json.dumps(golden) + "\n")
