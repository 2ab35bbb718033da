"""Paired tests of rows before and after, by scipy; Holm's adjustment by statsmodels.

    python goldens/report/make-paired.py    # needs scipy, statsmodels; writes paired.json beside this file
"""
import json, pathlib, platform, random
import numpy, scipy
from scipy import stats
import statsmodels
from statsmodels.stats.multitest import multipletests

rnd = random.Random(3)


def binary(n, fall, rise):
    before = [float(rnd.random() < 0.6) for _ in range(n)]
    return before, [0.0 if b and rnd.random() < fall else 1.0 if not b and rnd.random() < rise else b for b in before]


cases = [binary(40, 0.1, 0.1), binary(300, 0.15, 0.02), binary(1000, 0.01, 0.01), binary(25, 0.9, 0.0), binary(120, 0.0, 0.2)]
graded = [rnd.random() for _ in range(60)]
cases.append((graded, [min(1.0, max(0.0, x + rnd.gauss(-0.01, 0.1))) for x in graded]))
MARGIN = 1
out = []
for before, after in cases:
    d = 100 * (numpy.array(after) - numpy.array(before))
    fell, rose = int((d < 0).sum()), int((d > 0).sum())
    interval = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    is_binary = set(before) | set(after) <= {0.0, 1.0}
    out.append({
        "before": before, "after": after, "fell": fell, "rose": rose, "difference": float(d.mean()), "low": float(interval.low), "high": float(interval.high),
        "p_value": float(stats.binomtest(fell, fell + rose, 0.5).pvalue if is_binary else stats.ttest_1samp(d, 0).pvalue),
        "inferiority": float(stats.ttest_1samp(d, -MARGIN, alternative="greater").pvalue),
    })
for name in ("p_value", "inferiority"):
    for case, p in zip(out, multipletests([x[name] for x in out], method="holm")[1]):
        case[f"holm_{name}"] = float(p)
made_by = {"statsmodels": statsmodels.__version__, "python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__}
(pathlib.Path(__file__).parent / "paired.json").write_text(json.dumps({"margin": MARGIN, "cases": out, "made_by": made_by}) + "\n")
