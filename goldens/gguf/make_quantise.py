"""Rows of float32 and what they are as blocks: quantise.json.

Q8_0, Q5_0, Q4_0  gguf-py
Q4_K              ggml's own quantize_row_q4_K_ref, cut out of ggml-quants.c and compiled without fused multiplication and
                  addition, which a compiler may or may not use: the reference rounds every operation

Run from this folder: python make_quantise.py GGML   (a checkout's ggml folder; needs gguf, numpy, a C compiler)
"""
import base64, ctypes, json, subprocess, sys, tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.quants import quantize

HERE = Path(__file__).parent
GGML = Path(sys.argv[1])
rng = np.random.default_rng(16)
N = 256


def row(kind):
    x = rng.standard_normal(N)
    if kind == "small":
        x *= 1e-6
    if kind == "subnormal":
        x *= 1e-9  # scales below float16's least
    if kind == "large":
        x *= 3e3
    if kind == "positive":
        x = np.abs(x) + 1
    if kind == "negative":
        x = -np.abs(x) - 1
    if kind == "outlier":
        x[::37] *= 40
    if kind == "constant":
        x = np.full(N, 0.37)
    if kind == "zero":
        x = np.zeros(N)
    if kind == "parts":  # parts of 32 that are zero, constant, of one sign, and ordinary
        x[:32], x[32:64], x[64:96] = 0, -1.5, np.abs(x[64:96])
    if kind == "ties":
        x = np.round(x * 4) / 4  # many elements at the same distance from zero, halves between levels
    if kind == "bfloat16":
        x = (x.astype("<f4").view("<u4") & 0xFFFF0000).view("<f4")
    return x.astype("<f4")


KINDS = ["normal"] * 6 + ["small", "subnormal", "large", "positive", "negative", "outlier", "constant", "zero", "parts",
                          "ties", "ties", "bfloat16"]
rows = np.stack([row(kind) for kind in KINDS])

text = (GGML / "src" / "ggml-quants.c").read_text()


def cut(name):
    at = text.index(name + "(")
    return text[text.rindex("\n", 0, at):text.index("\n}\n", at) + 3]


C = """
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <assert.h>
#include <stdbool.h>
#define GGML_RESTRICT restrict
#define QK_K 256
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
typedef struct { _Float16 d, dmin; uint8_t scales[12]; uint8_t qs[128]; } block_q4_K;
#define GGML_FP32_TO_FP16(x) ((_Float16)(x))
#define GGML_FP16_TO_FP32(x) ((float)(x))
""" + "".join(cut(name) for name in ["nearest_int", "make_qkx2_quants", "get_scale_min_k4", "quantize_row_q4_K_ref"])
with tempfile.TemporaryDirectory() as folder:
    source, library = Path(folder) / "q.c", Path(folder) / "q.so"
    source.write_text(C)
    subprocess.run(["cc", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    lib = ctypes.CDLL(str(library))
    out = np.zeros((len(rows), 144), np.uint8)
    lib.quantize_row_q4_K_ref(rows.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(rows.size))

b64 = lambda a: base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()
made = {name: b64(quantize(rows, T[name])) for name in ["Q8_0", "Q5_0", "Q4_0"]} | {"Q4_K": b64(out)}
(HERE / "quantise.json").write_text(json.dumps({"versions": {"gguf": version("gguf"), "numpy": version("numpy")}, "kinds": KINDS,
                                               "columns": N, "rows": b64(rows), "blocks": made}, indent=1) + "\n")
