"""What CPython's `random` draws, for test/base/cpython-random.test.ts. Run: python goldens/random/make.py"""
import json
import pathlib
import platform
import random

SEEDS = [0, 1, 42, 2**40, -42, 2**64 + 5, 3**500]


def draws(r):
    """Every function once, in an order the test repeats; the bulk draws cross the 624-word refill."""
    return {
        "random": [r.random() for _ in range(5)],
        "getrandbits": [[k, str(r.getrandbits(k))] for k in (0, 1, 7, 31, 32, 33, 64, 100)],
        "randint": [[a, b, r.randint(a, b)] for a, b in ((8, 15), (0, 0), (-5, 5), (1, 2**31), (0, 2**32), (0, 2**52))],
        "choices": r.choices(list(range(31)), k=15),
        "sample_pool": r.sample(list(range(120)), 120),
        "sample_small": r.sample(list(range(21)), 5),
        "sample_set": r.sample(list(range(100000)), 30),
        "sample_set_small": r.sample(list(range(22)), 5),
        "sample_edge": [r.sample(list(range(n)), 6) for n in (85, 86)],
        "shuffle": (lambda x: (r.shuffle(x), x)[1])(list(range(200))),
        "after_2000": [r.random() for _ in range(2000)][-3:],
    }


golden = {
    "python": platform.python_version(),
    "seeds": {str(seed): draws(random.Random(seed)) for seed in SEEDS},
    "text": {text: draws(random.Random(text))["random"] for text in ("", "whorl", "ハリネズミ")},
}
path = pathlib.Path(__file__).with_name("cpython.json")
path.write_text(json.dumps(golden, ensure_ascii=False) + "\n", encoding="utf-8")
