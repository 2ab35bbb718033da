"""Intervals, exact binomial p-values and t-tests by scipy.

    python goldens/report/make.py    # needs scipy; writes statistics.json beside this file
"""
import json, math, pathlib, platform, warnings
import numpy, scipy
from scipy import stats

warnings.simplefilter("ignore")  # ten equal values: scipy warns and answers


def number(x):
    return str(x) if not math.isfinite(x) else float(x)


counts = [(0, 8), (1, 8), (8, 8), (0, 10), (5, 10), (10, 10), (60, 80), (55, 80), (80, 80), (0, 80), (3, 100), (0, 2000), (7, 2000), (1999, 2000), (700, 1000)]
intervals = [
    {"hits": k, "of": n, "level": level, "low": stats.binomtest(k, n).proportion_ci(level, "exact").low, "high": stats.binomtest(k, n).proportion_ci(level, "exact").high}
    for k, n in counts for level in (0.95, 0.99)
]
binomial = [
    {"hits": k, "of": n, "numerator": a, "denominator": b, "p_value": stats.binomtest(k, n, a / b).pvalue}
    for k, n in counts for a, b in [(3, 4), (1, 2), (1, 20)]
]
samples = [
    [75] * 10, [100] * 10, [100] * 9 + [87.5], [75] * 9 + [87.5], [62.5, 75, 87.5, 75, 75, 62.5, 100, 75, 50, 87.5],
    [0] * 9 + [12.5], [12.5, 0, 25, 0, 12.5, 0, 0, 37.5, 12.5, 0], [100, 100, 100, 100, 100, 100, 100, 100, 87.5, 87.5],
]
t_tests = [{"values": v, "t": number(stats.ttest_1samp(v, 75).statistic), "p_value": number(stats.ttest_1samp(v, 75).pvalue)} for v in samples]
out = {"intervals": intervals, "binomial": binomial, "t_tests": t_tests,
       "made_by": {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__}}
(pathlib.Path(__file__).parent / "statistics.json").write_text(json.dumps(out, indent=1) + "\n")
