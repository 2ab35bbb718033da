"""The e-processes of tests that are stopped, by another road than src/verify/sequential: not bet by bet, but as the ratio of the
probability of the whole draw under a mixture (integrals of Beta densities) to its probability when the draw is innocent.

    python goldens/sequential/make.py    # needs mpmath; writes e-values.json beside this file
"""
import json, pathlib, platform, random
from fractions import Fraction
from math import comb, factorial
import mpmath

mpmath.mp.dps = 60


def integral_uniform(won, lost):
    """The integral of t^won (1-t)^lost over 0..1, term by term."""
    return sum((Fraction((-1) ** i * comb(lost, i), won + i + 1) for i in range(lost + 1)), Fraction(0))


def arcsine(won, lost):
    """The mean of t^won (1-t)^lost where t has the arcsine law, Beta(1/2, 1/2): the Catalan-like moments, term by term."""
    moment = lambda k: Fraction(comb(2 * k, k), 4**k)
    return sum((Fraction((-1) ** i * comb(lost, i)) * moment(won + i) for i in range(lost + 1)), Fraction(0))


def t3(m, named, drawn):
    """After all keys: only answers that name some candidates, and not all, tell anything."""
    live = [(c, j) for c, j in zip(named, drawn) if 0 < len(c) < m]
    won = sum(j in c for c, j in live)
    innocent = Fraction(1)
    for c, j in live:
        innocent *= Fraction(len(c), m) if j in c else 1 - Fraction(len(c), m)
    return integral_uniform(won, len(live) - won) / innocent


def t4(pool, trained, fired, asked):
    """After `asked` keys: memberships of these under any draw of as many, by counting what is left to be drawn."""
    n, drawn = len(trained), set(trained)
    here = sum(i in drawn for i in range(asked))
    innocent = Fraction(comb(pool - asked, n - here), comb(pool, n))
    # Once all that are left are drawn, or none, the draw of the rest is certain, and nobody bets on it.
    open_ = [i for i in range(asked) if 0 < n - sum(k in drawn for k in range(i)) < pool - i]
    under = Fraction(1)
    for group in (True, False):
        keys = [i for i in open_ if fired[i] == group]
        won = sum(i in drawn for i in keys)
        under *= arcsine(won, len(keys) - won)
    return under / innocent


def log10(e):
    return mpmath.nstr(mpmath.log(mpmath.mpf(e.numerator)) / mpmath.log(10) - mpmath.log(mpmath.mpf(e.denominator)) / mpmath.log(10), 25)


def figures(values):
    """The value after each key, and 1 over the greatest (of which 1 at the beginning is one)."""
    best = max(max(values), Fraction(1))
    return {"log10_e": [log10(e) if e != 1 else "0" for e in values], "p": [str(best.denominator), str(best.numerator)]}


rng = random.Random(11)
cases3 = [(256, [[j] for j in range(k)] + [[255]] * (n - k), list(range(n))) for k, n in ((3, 3), (4, 4), (8, 8), (8, 10), (5, 10), (8, 16), (4, 32))]
for _ in range(40):
    m, n = rng.choice([2, 3, 16, 256, 1000]), rng.randint(1, 24)
    drawn = [rng.randrange(m) for _ in range(n)]
    named = []
    for j in drawn:
        c = rng.choice([0, 1, 1, 1, rng.randint(0, min(m, 12)), m if m < 20 else 1])
        some = set(rng.sample(range(m), c))
        if c and rng.random() < 0.5:
            some = set(list(some)[1:]) | {j}
        named.append(sorted(some))
    cases3.append((m, named, drawn))
cases4 = []
for pool, n, silent, noise in [(40, 10, 0, 0), (40, 10, 0.2, 0.1), (40, 10, 1, 0), (30, 29, 0.1, 0.5), (12, 1, 0, 0)] + [(rng.randint(2, 40), None, rng.random(), rng.random()) for _ in range(20)]:
    n = n or rng.randint(1, pool - 1)
    trained = sorted(rng.sample(range(pool), n))
    fired = [(rng.random() >= silent) if i in trained else (rng.random() < noise) for i in range(pool)]
    cases4.append((pool, trained, fired))

out = {
    "made_by": {"script": "goldens/sequential/make.py", "python": platform.python_version(), "mpmath": mpmath.__version__},
    "t3": [{"m": m, "named": named, "drawn": drawn, **figures([t3(m, named[: i + 1], drawn[: i + 1]) for i in range(len(named))])} for m, named, drawn in cases3],
    "t4": [{"pool": pool, "trained": trained, "fired": fired, **figures([t4(pool, trained, fired, i + 1) for i in range(pool)])} for pool, trained, fired in cases4],
}
path = pathlib.Path(__file__).parent / "e-values.json"
path.write_text("{\n" + ",\n".join(
    f' "{name}": ' + (json.dumps(v) if name == "made_by" else "[\n  " + ",\n  ".join(map(json.dumps, v)) + "\n ]")
    for name, v in out.items()) + "\n}\n")
