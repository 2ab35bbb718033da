"""T6 by another road than src/verify/exact/t6.ts: ranks by scipy's rankdata, Fisher's tail as an incomplete gamma function of
mpmath (and scipy's combine_pvalues beside it), rank sums by counting subsets one element at a time in Python's integers (and
scipy's mannwhitneyu beside it).

    python goldens/exact/make_ranks.py    # needs mpmath, numpy, scipy; writes ranks.json beside this file
"""
import json, pathlib, platform
from math import comb
import mpmath, numpy, scipy
from scipy import stats

mpmath.mp.dps = 60
rng = numpy.random.default_rng(19)


def text(x):
    return mpmath.nstr(x, 25)


def log10_of(p, rest):
    return mpmath.log1p(-rest) / mpmath.log(10) if p > mpmath.mpf(1) / 2 else mpmath.log(p) / mpmath.log(10)


def answers(n, m, pull, signed=4):
    """Scores without ties; the drawn one is pulled up by `pull`."""
    scores = numpy.round(rng.normal(size=(n, m)), signed)
    while any(len(set(row)) < m for row in scores):
        scores = numpy.round(rng.normal(size=(n, m)), signed)
    drawn = rng.integers(0, m, size=n)
    for i, j in enumerate(drawn):
        scores[i, j] = round(scores[i, j] + pull * rng.random(), 4) + 0.00005
    ranks = [int(stats.rankdata(-row)[j]) for row, j in zip(scores, drawn)]
    x = sum((mpmath.log(m) - mpmath.log(r) for r in ranks), mpmath.mpf(0))
    p = mpmath.gammainc(n, x, mpmath.inf, regularized=True)
    beside = stats.combine_pvalues([r / m for r in ranks], method="fisher").pvalue
    assert abs(beside - float(p)) <= 1e-9 * float(p), (beside, p)
    e = mpmath.mpf(1)
    for r in ranks:
        e *= mpmath.mpf(m) / (r * mpmath.harmonic(m))
    rest = mpmath.gammainc(n, 0, x, regularized=True)
    return {"n": n, "m": m, "scores": scores.tolist(), "drawn": drawn.tolist(), "ranks": ranks,
            "p_value": text(p), "log10_p": text(log10_of(p, rest)), "log10_e": text(mpmath.log10(e))}


def subsets(pool, n):
    """ways[k][s]: subsets of {1..pool} of k elements that sum to s."""
    most = sum(range(pool - n + 1, pool + 1))
    ways = [[0] * (most + 1) for _ in range(n + 1)]
    ways[0][0] = 1
    for value in range(1, pool + 1):
        for k in range(min(n, value), 0, -1):
            for s in range(most, value - 1, -1):
                ways[k][s] += ways[k - 1][s - value]
    return ways[n]


def membership(pool, n, pull):
    scores = rng.permutation(pool) / 4
    drawn = sorted(int(i) for i in rng.choice(pool, size=n, replace=False))
    for i in drawn:
        scores[i] += pull * pool / 4 + 0.01 * (1 + i / pool)
    ranks = stats.rankdata(-scores)
    assert len(set(ranks)) == pool
    total = int(sum(ranks[i] for i in drawn))
    ways = subsets(pool, n)
    at_most = sum(ways[: total + 1])
    assert sum(ways) == comb(pool, n)
    p, rest = mpmath.mpf(at_most) / comb(pool, n), mpmath.mpf(comb(pool, n) - at_most) / comb(pool, n)
    others = [scores[i] for i in range(pool) if i not in drawn]
    if comb(pool, n) < 10**15:
        beside = stats.mannwhitneyu([scores[i] for i in drawn], others, alternative="greater", method="exact").pvalue
        assert abs(beside - float(p)) <= 1e-9 * float(p), (beside, p)
    return {"pool": pool, "n": n, "scores": scores.tolist(), "drawn": drawn, "sum": total,
            "p_value": text(p), "log10_p": text(log10_of(p, rest) if rest else mpmath.mpf(0))}


def tails():
    """Fisher's tail far out and near 1, where no set of ranks need be."""
    for n, x in [(1, 1e-9), (1, 700.0), (5, 0.01), (32, 1.5), (32, 31.9), (32, 32.1), (32, 177.445678), (32, 900.0), (400, 300.0), (400, 2000.0)]:
        p = mpmath.gammainc(n, mpmath.mpf(x), mpmath.inf, regularized=True)
        rest = mpmath.gammainc(n, 0, mpmath.mpf(x), regularized=True)
        yield {"n": n, "x": x, "p_value": text(p), "log10_p": text(log10_of(p, rest))}


out = {
    "made_by": {"script": "goldens/exact/make_ranks.py", "python": platform.python_version(), "mpmath": mpmath.__version__,
                "numpy": numpy.__version__, "scipy": scipy.__version__},
    "answers": [answers(*case) for case in [(1, 2, 0), (4, 5, 0), (6, 8, 3), (12, 16, 0), (12, 16, 9), (20, 7, 1)]],
    "membership": [membership(*case) for case in [(2, 1, 0), (9, 4, 0), (9, 4, 2), (20, 15, 0), (40, 10, 0), (40, 10, 0.3), (40, 10, 2), (90, 12, 0.5), (400, 20, 0.4)]],
    "fisher": list(tails()),
}
path = pathlib.Path(__file__).parent / "ranks.json"
path.write_text("{\n" + ",\n".join(
    f' "{name}": ' + (json.dumps(v) if name == "made_by" else "[\n  " + ",\n  ".join(map(json.dumps, v)) + "\n ]")
    for name, v in out.items()) + "\n}\n")
