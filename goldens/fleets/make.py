"""Holm by statsmodels and in fractions, e-BH by its definition in numpy.

    python goldens/fleets/make.py    # needs numpy, statsmodels; writes multiple.json beside this file
"""
import json, pathlib, platform, random
from fractions import Fraction
import numpy, statsmodels
from statsmodels.stats.multitest import multipletests

rnd = random.Random(19)
ALPHAS = [0.5, 0.1, 0.05, 0.01, 1e-3, 1e-6]


def some_p():
    kind = rnd.randrange(5)
    if kind == 0:
        return Fraction(1)
    if kind == 1:
        return Fraction(rnd.randrange(1, 1000), 1000)
    return Fraction(rnd.randrange(1, 10**6), 10 ** rnd.randrange(6, 300 if kind == 2 else 12))


def holm(p, of):
    """Step-down by hand: the i-th smallest is paid of - i times; the largest payment so far counts."""
    out, most = [None] * len(p), Fraction(0)
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        most = max(most, min(Fraction(1), p[i] * (of - rank)))
        out[i] = most
    return out


def e_bh(log10_e, of, alpha):
    """The largest k such that the k-th largest e-value is at least of/(alpha k); those k are accepted."""
    e = numpy.array(log10_e)
    order = numpy.argsort(-e, kind="stable")
    ks = [k for k in range(1, len(e) + 1) if e[order[k - 1]] >= numpy.log10(of) - numpy.log10(alpha) - numpy.log10(k)]
    taken = order[: max(ks)] if ks else []
    return sorted(int(i) for i in taken)


cases = []
for n in [1, 2, 3, 5, 8, 30, 30, 100]:
    for _ in range(3):
        p = [some_p() for _ in range(n)]
        if n > 3:
            p[1] = p[0]
        more = rnd.choice([0, 0, 7])
        exact = holm(p, n + more)
        padded = [float(x) for x in p] + [1.0] * more
        package = multipletests(padded, method="holm")[1][:n]
        assert all(abs(float(a) - b) <= 1e-12 * b for a, b in zip(exact, package))
        log10_e = [rnd.choice([float("-inf"), rnd.uniform(-1, 4), rnd.uniform(0, 60)]) for _ in range(n)]
        cases.append({
            "p": [[str(x.numerator), str(x.denominator)] for x in p],
            "of": n + more,
            "holm": [[str(x.numerator), str(x.denominator)] for x in exact],
            "statsmodels": [float(x) for x in package],
            "log10_e": [None if x == float("-inf") else x for x in log10_e],
            "accepted": [e_bh(log10_e, n + more, alpha) for alpha in ALPHAS],
        })
made_by = {"python": platform.python_version(), "numpy": numpy.__version__, "statsmodels": statsmodels.__version__}
(pathlib.Path(__file__).parent / "multiple.json").write_text(json.dumps({"alphas": ALPHAS, "cases": cases, "made_by": made_by}) + "\n")
