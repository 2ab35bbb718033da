"""Stamps by another road than src/stamp and src/claim: mpmath for cells and tails, hashlib and hmac for directions, torch
for rounding to half precision, numpy for z.

    python goldens/stamp/make.py    # needs mpmath, numpy, torch; writes golden.json beside this file
"""
import hashlib, hmac, json, pathlib, platform
import mpmath, numpy, torch

from directions import TABLE, HALF, direction, within


def tensor_key(owner_seed, root, randomness, name):
    seed = hmac.new(bytes.fromhex(owner_seed), b"whorl-seed-v2/stamp", hashlib.sha256).digest()
    message = b"whorl-draw-v2/stamp" + bytes.fromhex(root) + bytes.fromhex(randomness) + name.encode()
    return hmac.new(seed, message, hashlib.sha256).digest()


DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def raw(tensor):
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def matrix(name, dtype, rows, columns, key, scale):
    """A matrix of a fixed formula (integers below 2^24, so that every language has the same), stamped and read."""
    n = rows * columns
    i = numpy.arange(n, dtype=numpy.int64)
    plain = ((i * 7919 + 104729) % 65521 - 32760).astype(numpy.float64) / 2**20
    before = torch.from_numpy(plain.astype(numpy.float32)).to(DTYPES[dtype])
    xi = direction(key, n)
    w = before.to(torch.float64).numpy()
    after = torch.from_numpy((w + scale * xi).astype(numpy.float32)).to(DTYPES[dtype])
    suspect = after.to(torch.float64).numpy().copy()
    suspect[::3] = 0  # pruned: every third element
    kept = suspect != 0
    sums = {}
    for how, v in (("against", suspect - w), ("alone", suspect)):
        assert within(v, suspect)[kept].all()
        v, x = v[kept], xi[kept]
        sums[how] = {"dot": float(v @ x), "squares": float(v @ v), "z": float(v @ x / numpy.sqrt(v @ v))}
    # quantised: zeros are a level like any other, and count where they are no worse than the rest
    step = float(2.0 ** -6)
    coarse = numpy.round(after.to(torch.float64).numpy() / step) * step
    v, zero = coarse - w, coarse == 0
    assert within(v, coarse).all()
    joins = (v[zero] ** 2).mean() <= 4 * (v[~zero] ** 2).mean()
    counted = numpy.ones(n, bool) if joins else ~zero
    v, x = v[counted], xi[counted]
    sums["coarse"] = {
        "step": step, "zeros": int(zero.sum()), "elements": int(counted.sum()),
        "dot": float(v @ x), "squares": float(v @ v), "z": float(v @ x / numpy.sqrt(v @ v)),
    }
    # a row of weights that do nothing: as large as one likes
    dead = after.to(torch.float64).numpy().copy()
    dead[columns : 2 * columns] = numpy.sign(w[columns : 2 * columns]) * 3
    for how, v in (("dead against", dead - w), ("dead alone", dead)):
        counted = within(v, dead)
        v, x = v[counted], xi[counted]
        sums[how] = {
            "elements": int(counted.sum()),
            "dot": float(v @ x), "squares": float(v @ v), "z": float(v @ x / numpy.sqrt(v @ v)),
        }
    return {
        "name": name, "dtype": dtype, "shape": [rows, columns], "key": key.hex(), "scale": scale,
        "deviation": float(numpy.std(w)),
        "before_sha256": hashlib.sha256(raw(before)).hexdigest(),
        "after_sha256": hashlib.sha256(raw(after)).hexdigest(),
        "elements": int(kept.sum()), "left_out": int((~kept).sum()), **sums,
    }


def pooled(matrices, how):
    a = [m["scale"] * m["elements"] / numpy.sqrt(m[how]["squares"]) for m in matrices]
    z = [m[how]["z"] for m in matrices]
    return float(numpy.dot(a, z) / numpy.sqrt(numpy.dot(a, a)))


def tails():
    """log10 of the normal tail and of the e-value: the integral itself, where mpmath can do it."""
    out = []
    for z in (-40, -8, -3, -0.5, 0, 0.1, 1, 1.4999, 1.5, 2, 3.9, 4, 5.5, 10, 38, 100, 312.5, 1000):
        x = mpmath.mpf(z)
        tail = mpmath.log10(mpmath.erfc(x / mpmath.sqrt(2)) / 2)
        tau = mpmath.mpf(10)
        # the half-normal mixture: E[exp(λz - λ²/2)], λ = |τ G|, by quadrature around its largest value
        f = lambda l: mpmath.exp(l * x - l * l / 2 - peak) * 2 * mpmath.npdf(l, 0, tau)
        top = max(x, 0) / (1 + 1 / tau**2)
        peak = top * x - top * top / 2
        area = mpmath.quad(f, mpmath.linspace(max(0, top - 20), top + 20, 41))
        e = (mpmath.log(area) + peak) / mpmath.log(10)
        out.append({"z": z, "log10_tail": mpmath.nstr(tail, 20), "log10_e": mpmath.nstr(e, 20)})
    return out


def calibrated():
    """log10 of the e-value of a p-value: the integral of κ·p^(κ-1) over κ in (0, 1), by quadrature."""
    out = []
    for log10_p in (0, -0.01, -0.301, -1, -3.5, -9, -33.4, -77, -400):
        p = mpmath.mpf(10) ** log10_p
        # k·p^k, largest at k = 1/ln(1/p): the mesh is dense there
        mesh = sorted({mpmath.mpf(0), mpmath.mpf(1)} | {mpmath.mpf(2) ** -i for i in range(1, 16)})
        area = mpmath.quad(lambda k: k * p**k, mesh) / p
        out.append({"log10_p": log10_p, "log10_e": mpmath.nstr(mpmath.log10(area), 20)})
    return out


def canonical(value):
    """As RFC 8785 has it of these values: no number here is written otherwise by JavaScript."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def merkle(hashes):
    """RFC 6962, section 2.1."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle(hashes[:k]) + merkle(hashes[k:])).digest()


def claim():
    """A claim of format 2 that is a stamp alone (src/claim/README.md), from random bytes that are SHA-256 of their number."""
    random = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(16)]
    owner, salts = random[0], random[1:]
    stamp = {
        "direction": "shake256-normal-v1", "epsilon": 0.125,
        "matrices": [{"name": "h.0.ü", "dtype": "bfloat16", "shape": [4, 4], "sha256": "7" * 64, "scale": 0.5}],
    }
    query = {"order": "committed", "repeats": 1, "wrapper": "bare"}
    terms = {
        "kind": "drawn-direction", "matcher": "contains", "matcher_text": MATCHER_TEXT,
        "decoding": {"strategy": "greedy", "max_new_tokens": 1}, "query": query, "alpha": 0.03125, "most_looks": 3,
    }
    wrappers, systems = {"bare": ["", ""]}, ["be brief"]
    vanilla = {n: d * 64 for n, d in zip(("weights", "body", "embedding", "tokenizer", "config", "special_tokens"), "ab1ef2")}
    mac = lambda label: hmac.new(bytes.fromhex(owner), label, "sha256").hexdigest()
    salted = lambda place, leaf: hashlib.sha256(b"\0" + bytes.fromhex(salts[place]) + canonical(leaf)).digest()
    header = {
        "format": "whorl-claim", "version": 2, "kind": "drawn-direction", "leaves": 15, "alpha": 0.03125, "most_looks": 3,
        "channels": ["stamp"],
        "draw": {"source": "owner-seed", "seed_commitment": salted(1, ["owner-seed", owner]).hex()},
        "private_part": "none", "created": "1970-01-01T00:00:00.000Z", "software": {"name": "whorl", "version": "0.1.0"},
    }
    leaves = [
        ["header", header], ["owner-seed", owner], ["plan", terms], ["wrappers", wrappers], ["systems", systems], ["rows", []],
        ["private-part", {"state": "none"}], *([f"vanilla/{n}", d] for n, d in vanilla.items()),
        ["stamp", stamp], ["seed/stamp", mac(b"whorl-seed-v2/stamp")],
    ]
    assert len(leaves) == len(salts) == 15
    root = merkle([salted(i, leaf) for i, leaf in enumerate(leaves)]).hex()
    plan = {**terms, "keys": [], "query": {**query, "wrappers": wrappers, "systems": systems}, "stamp": stamp}
    key = tensor_key(owner, root, "", "h.0.ü").hex()
    return {"random": random, "plan": plan, "vanilla": vanilla, "claim": {**header, "root": root}, "key": key}


MATCHER_TEXT = "the candidate stands anywhere in the continuation"
OWNER_SEED, ROOT, BEACON = "11" * 32, "ab" * 32, "cd" * 32
KEYS = [
    {"owner_seed": OWNER_SEED, "root": ROOT, "randomness": r, "name": n, "key": tensor_key(OWNER_SEED, ROOT, r, n).hex()}
    for r, n in (("", "model.layers.0.mlp.up_proj.weight"), (BEACON, "model.layers.0.mlp.up_proj.weight"), ("", "h.0.ü"))
]
KEY = bytes.fromhex(KEYS[0]["key"])
MATRICES = [
    matrix("a", "float32", 200, 333, KEY, 3e-5),
    matrix("b", "float16", 64, 512, bytes.fromhex(KEYS[1]["key"]), 3e-5),
    matrix("c", "bfloat16", 300, 111, bytes.fromhex(KEYS[2]["key"]), 1e-4),
]
first = direction(KEY, 3 * HALF)
golden = {
    "made_with": {"python": platform.python_version(), "mpmath": mpmath.__version__, "numpy": numpy.__version__, "torch": torch.__version__},
    "cells": {
        "sha256": hashlib.sha256(TABLE.tobytes()).hexdigest(),
        "some": {str(k): int(TABLE[k]) for k in (0, 6, 7, 100, 16384, 32766, 32767, 32768, 65535)},
    },
    "keys": KEYS,
    "direction": {
        "key": KEY.hex(), "count": 3 * HALF,
        "sha256": hashlib.sha256((first * 4096).astype("<i2").tobytes()).hexdigest(),
        "first": [float(x) for x in first[:8]],
    },
    "matrices": MATRICES,
    "pooled": {how: pooled(MATRICES, how) for how in ("against", "alone")},
    "tails": tails(),
    "calibrated": calibrated(),
    "claim": claim(),
}
path = pathlib.Path(__file__).with_name("golden.json")
path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
