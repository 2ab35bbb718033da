"""Exact tails by another road than src/verify/exact: fractions and whole distributions, log10 by mpmath.

    python goldens/exact/make.py    # needs mpmath; writes tails.json beside this file
"""
import json, pathlib, platform, random
from fractions import Fraction
from math import comb
import mpmath

mpmath.mp.dps = 60


def figure(p: Fraction):
    if p == 1:
        return {"p_value": "1", "log10_p": "0"}
    q = mpmath.mpf(p.numerator) / mpmath.mpf(p.denominator)
    rest = 1 - p
    near_one = p > Fraction(1, 2)  # there log10 keeps its digits only by the complement, elsewhere only without it
    log = mpmath.log1p(-mpmath.mpf(rest.numerator) / mpmath.mpf(rest.denominator)) if near_one else mpmath.log(q)
    log /= mpmath.log(10)
    return {"p_value": mpmath.nstr(q, 25), "log10_p": mpmath.nstr(log, 25)}


def t3(m, candidates, hits):
    """P(K >= hits): the whole distribution of K by convolution of Fractions."""
    dist = [Fraction(1)]
    for c in candidates:
        q = Fraction(c, m)
        dist = [(dist[k] * (1 - q) if k < len(dist) else 0) + (dist[k - 1] * q if k else 0) for k in range(len(dist) + 1)]
    assert sum(dist) == 1
    return sum(dist[hits:], Fraction(0))


def t4(pool, n, total, hits):
    """P(X >= hits): one minus the lower tail, each term as a product of conditional chances summed over orders."""
    lower = Fraction(0)
    for x in range(max(0, n + total - pool), hits):
        term = Fraction(comb(n, x))
        for i in range(n):  # x marked first, then n - x unmarked
            term *= Fraction(total - i, pool - i) if i < x else Fraction(pool - total - (i - x), pool - i)
        lower += term
    return 1 - lower


rng = random.Random(7)
cases3 = [(256, [1] * 32, k) for k in (0, 1, 2, 4, 8, 16, 24, 31, 32)]
cases3 += [(256, [1] * 125, 125), (256, [1] * 125, 40), (256, [1] * 431, 431), (256, [1] * 431, 400), (64, [1] * 16, 6)]
cases3 += [(256, [255] * 40 + [1], 41), (256, [255] * 60, 1), (4096, [1] * 200, 1), (4096, [4095] * 30, 1), (8, [8] * 10, 10)]
for _ in range(60):
    m = rng.choice([2, 3, 16, 256, 1000, 4096])
    n = rng.randint(1, 70)
    cs = [rng.choice([0, 1, 1, 1, rng.randint(0, m)]) for _ in range(n)]
    live = sum(c > 0 for c in cs)
    cases3.append((m, cs, rng.randint(0, live)))
cases4 = [(40, 10, 10, 10), (40, 10, 8, 8), (40, 10, 10, 8), (40, 10, 5, 5), (64, 32, 32, 32), (200, 10, 5, 5), (200, 10, 10, 10)]
cases4 += [(200, 10, 200, 10), (200, 10, 190, 10), (200, 10, 100, 1), (3000, 1000, 1000, 1000), (3600, 1600, 1600, 1500), (2000, 400, 1999, 400)]
for _ in range(60):
    pool = rng.randint(2, 300)
    n = rng.randint(1, pool - 1)
    total = rng.randint(0, pool)
    cases4.append((pool, n, total, rng.randint(max(0, n + total - pool), min(n, total))))

out = {
    "made_by": {"script": "goldens/exact/make.py", "python": platform.python_version(), "mpmath": mpmath.__version__},
    "t3": [{"m": m, "candidates": cs, "hits": k, **figure(t3(m, cs, k))} for m, cs, k in cases3],
    "t4": [{"pool": N, "n": n, "all": D, "hits": k, **figure(t4(N, n, D, k))} for N, n, D, k in cases4],
}
path = pathlib.Path(__file__).parent / "tails.json"
path.write_text("{\n" + ",\n".join(
    f' "{name}": ' + (json.dumps(v) if name == "made_by" else "[\n  " + ",\n  ".join(map(json.dumps, v)) + "\n ]")
    for name, v in out.items()) + "\n}\n")
