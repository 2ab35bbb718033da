"""Crafted checkpoints, each under 2 KB and each with the outcome it must have.

safetensors/x.safetensors + x.json   {code, contains}; code null: the file is good and must open
gguf/x.gguf + x.json                 the same
folder/x.json                        {code, contains, files: {name: base64}, links: {name: target}, open}
                                     laid out in a temporary folder; `open` is the folder to open in it

Run from this folder: python make.py   (the standard library only)
"""
import base64, json, shutil, struct
from pathlib import Path

HERE = Path(__file__).parent
U64, U32 = (lambda n: struct.pack("<Q", n)), (lambda n: struct.pack("<I", n))


def fresh(kind):
    folder = HERE / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


# ---------------------------------------------------------------- safetensors
def st(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return U64(len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2, 3), begin=0, end=24):
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [begin, end]}


D = bytes(24)
A = entry()
BAD = "bad-file"
SAFETENSORS = {
    "good": (st({"__metadata__": {"format": "pt"}, "a": A}, D), None, ""),
    "good-empty": (st({}), None, ""),
    "good-padded": (st(json.dumps({"a": A}).encode() + b"   ", D), None, ""),
    "good-zero-dim": (st({"z": entry(shape=(0, 5), end=0), "a": A}, D), None, ""),
    "good-scalar": (st({"s": entry("BF16", [], 0, 2)}, bytes(2)), None, ""),
    "good-proto-name": (st(b'{"__proto__":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}', D), None, ""),
    "empty": (b"", BAD, "is empty"),
    "seven-bytes": (bytes(7), BAD, "header length"),
    "length-zero": (U64(0), BAD, "begin with {"),
    "length-one-more": (st({"a": A}, D, length=len(json.dumps({"a": A}, separators=(",", ":"))) + 25), BAD, "ends after"),
    "length-limit": (st(b"{}", length=100_000_001), BAD, "allowed"),
    "length-2-53": (st(b"{}", length=2**53), BAD, "allowed"),
    "length-2-63": (st(b"{}", length=2**63), BAD, "allowed"),
    "length-max": (st(b"{}", length=2**64 - 1), BAD, "allowed"),
    "not-utf8": (st(b'{"\xff":1}'), BAD, "UTF-8"),
    "bom": (st(b"\xef\xbb\xbf{}"), BAD, "begin with {"),
    "leading-space": (st(b" {}"), BAD, "begin with {"),
    "not-json": (st(b'{"a":}'), BAD, "JSON"),
    "nan-json": (st(b'{"a":NaN}'), BAD, "JSON"),
    "deep-json": (st(b'{"a":' + b"[" * 700 + b"]" * 700 + b"}"), BAD, "not a JSON object"),
    "list": (st(b"{}[]"), BAD, "JSON"),
    "duplicate-name": (st(b'{"a":%s,"a":%s}' % ((json.dumps(A).encode(),) * 2), D), BAD, "twice"),
    "duplicate-name-escaped": (st(b'{"a":%s,"\\u0061":%s}' % ((json.dumps(A).encode(),) * 2), D), BAD, "twice"),
    "duplicate-field": (st(b'{"a":{"dtype":"F32","dtype":"F16","shape":[2,3],"data_offsets":[0,24]}}', D), BAD, "twice"),
    "metadata-number": (st({"__metadata__": {"n": 1}}), BAD, "__metadata__"),
    "metadata-list": (st({"__metadata__": []}), BAD, "__metadata__"),
    "entry-null": (st({"a": None}), BAD, "not a JSON object"),
    "no-dtype": (st({"a": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)), BAD, "dtype"),
    "dtype-number": (st({"a": entry(dtype=1)}, D), BAD, "dtype"),
    "dtype-f64": (st({"a": entry("F64", (3,))}, D), "unsupported", "F64"),
    "dtype-f4": (st({"a": entry("F4", (48,))}, D), "unsupported", "F4"),
    "dtype-proto": (st({"a": entry("__proto__")}, D), "unsupported", "__proto__"),
    "no-shape": (st({"a": {"dtype": "F32", "data_offsets": [0, 24]}}, D), BAD, "shape"),
    "shape-negative": (st({"a": entry(shape=(-2, -3))}, D), BAD, "shape"),
    "shape-fraction": (st({"a": entry(shape=(1.5, 4))}, D), BAD, "1.5 is not a whole number"),
    "shape-point": (st({"a": entry(shape=(2.0, 3))}, D), BAD, "2.0 is not a whole number"),
    "offsets-exponent": (st(b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24e0]}}', D), BAD, "24e0 is not a whole number"),
    "offsets-minus-zero": (st(b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[-0,24]}}', D), BAD, "-0 is not a whole number"),
    "good-number-in-name": (st({"layer.1.5e3": A, "__metadata__": {"v": "-0.5"}}, D), None, ""),
    "shape-string": (st({"a": entry(shape=["2", 3])}, D), BAD, "shape"),
    "shape-null": (st({"a": entry(shape=[None, 3])}, D), BAD, "shape"),
    "shape-wraps": (st({"a": entry(shape=(2**32, 2**32, 24))}, D), BAD, "absurd"),
    "shape-2-53": (st({"a": entry(shape=(2**53 + 2,))}, D), BAD, "shape"),
    "shape-2-64": (st({"a": entry(shape=(2**64,))}, D), BAD, "shape"),
    "shape-rank-17": (st({"a": entry(shape=(1,) * 17, end=4)}, bytes(4)), BAD, "shape"),
    "shape-too-small": (st({"a": entry(shape=(2, 2))}, D), BAD, "takes 16 bytes"),
    "shape-too-big": (st({"a": entry(shape=(2, 4))}, D), BAD, "takes 32 bytes"),
    "no-offsets": (st({"a": {"dtype": "F32", "shape": [2, 3]}}, D), BAD, "data_offsets"),
    "offsets-three": (st({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24, 24]}}, D), BAD, "data_offsets"),
    "offsets-reversed": (st({"a": entry(begin=24, end=0)}, D), BAD, "outside"),
    "offsets-negative": (st({"a": entry(begin=-24, end=0)}, D), BAD, "data_offsets"),
    "offsets-huge": (st({"a": entry(begin=2**53, end=2**53 + 24)}, D), BAD, "data_offsets"),
    "offsets-outside": (st({"a": entry(begin=0, end=28, shape=(7,))}, D), BAD, "outside"),
    "truncated": (st({"a": A}, D[:-1]), BAD, "outside"),
    "trailing": (st({"a": A}, D + b"PK\x05\x06"), BAD, "after the last tensor"),
    "overlap": (st({"a": A, "b": entry(begin=20, end=44)}, bytes(44)), BAD, "overlaps"),
    "same-range": (st({"a": A, "b": A}, D), BAD, "overlaps"),
    "hole-first": (st({"a": entry(begin=4, end=28)}, bytes(28)), BAD, "hole"),
    "hole-between": (st({"a": A, "b": entry(begin=25, end=49)}, bytes(49)), BAD, "hole"),
    "name-empty": (st({"": A}, D), BAD, "name"),
    "name-control": (st({"a\u0000b": A}, D), BAD, "name"),
    "name-surrogate": (st(b'{"\\ud800":%s}' % json.dumps(A).encode(), D), BAD, "name"),
    "pickle": (b"\x80\x02}q\x00." + bytes(40), BAD, "is a pickle"),
}


# ----------------------------------------------------------------------- gguf
def text(s):
    raw = s if isinstance(s, bytes) else s.encode()
    return U64(len(raw)) + raw


def kv(key, kind, value):
    return text(key) + U32(kind) + value


ARCH = kv("general.architecture", 8, text("llama"))


def info(name="w", dims=(32, 2), kind=8, offset=0):
    return text(name) + U32(len(dims)) + b"".join(U64(d) for d in dims) + U32(kind) + U64(offset)


def gg(kvs=(ARCH,), infos=(), data=b"", version=3, magic=b"GGUF", n_tensors=None, n_kv=None, align=32):
    head = magic + U32(version) + U64(len(infos) if n_tensors is None else n_tensors)
    head += U64(len(kvs) if n_kv is None else n_kv) + b"".join(kvs) + b"".join(infos)
    return head + bytes(-len(head) % align) + data


W = bytes(96)  # two rows of one Q8_0 block, padded
BIG = 2**63
GGUF = {
    "good": (gg(infos=[info()], data=W), None, ""),
    "good-v2": (gg(infos=[info()], data=W, version=2), None, ""),
    "good-unpadded": (gg(infos=[info()], data=W[:68]), None, ""),
    "good-two": (gg(infos=[info(), info("v", (3,), 0, 96)], data=W + bytes(32)), None, ""),
    "good-align-64": (gg([kv("general.alignment", 4, U32(64))], [info()], bytes(128), align=64), None, ""),
    "good-proto-key": (gg([kv("__proto__", 8, text("x"))]), None, ""),
    "empty": (b"", BAD, "is empty"),
    "magic-only": (b"GGUF", BAD, "version"),
    "bad-magic": (gg(magic=b"GGML"), BAD, "begin with GGUF"),
    "version-1": (gg(version=1), "unsupported", "version 1"),
    "version-4": (gg(version=4), "unsupported", "version 4"),
    "big-endian": (gg(version=3 << 24), "unsupported", "big-endian"),
    "tensors-2-63": (gg(n_tensors=BIG), BAD, "number of tensors"),
    "tensors-one-more": (gg(n_tensors=1), BAD, "empty"),
    "keys-max": (gg(n_kv=2**64 - 1), BAD, "number of keys"),
    "keys-one-more": (gg(n_kv=2) + bytes(60), BAD, "empty"),
    "key-length-2-63": (gg([U64(BIG) + bytes(40)]), BAD, "length of a key"),
    "key-too-long": (gg([kv("k" * 1025, 7, b"\x01")]), BAD, "allowed"),
    "key-empty": (gg([kv("", 7, b"\x01")]), BAD, "empty"),
    "key-twice": (gg([ARCH, ARCH]), BAD, "twice"),
    "key-not-utf8": (gg([kv(b"\xff\xfe", 7, b"\x01")]), BAD, "UTF-8"),
    "value-type-13": (gg([kv("a", 13, b"")]) + bytes(64), BAD, "value type 13"),
    "value-bool-2": (gg([kv("a", 7, b"\x02")]), BAD, "bool"),
    "string-length": (gg([kv("a", 8, U64(2**40))]), BAD, "length of"),
    "string-not-utf8": (gg([kv("a", 8, text(b"\xc3("))]), BAD, "UTF-8"),
    "array-2-63": (gg([kv("a", 9, U32(4) + U64(BIG))]), BAD, "length of"),
    "array-of-empty-arrays": (gg([kv("a", 9, U32(9) + U64(2**30))]) + bytes(64), BAD, "length of"),
    "array-nested": (gg([kv("a", 9, (U32(9) + U64(1)) * 5 + U32(4) + U64(0))]), BAD, "nests"),
    "array-item-type": (gg([kv("a", 9, U32(77) + U64(1))]) + bytes(64), BAD, "value type 77"),
    "alignment-zero": (gg([kv("general.alignment", 4, U32(0))]), BAD, "general.alignment"),
    "alignment-3": (gg([kv("general.alignment", 4, U32(3))]), BAD, "general.alignment"),
    "alignment-string": (gg([kv("general.alignment", 8, text("32"))]), BAD, "general.alignment"),
    "alignment-other": (gg([kv("general.alignment", 4, U32(64))], [info(), info("v", offset=96)], bytes(256), align=64), BAD, "not at 128"),
    "split": (gg([kv("split.count", 2, struct.pack("<H", 3))]), "unsupported", "split.count"),
    "name-length": (gg(infos=[U64(2**33) + bytes(60)]), BAD, "name"),
    "name-twice": (gg(infos=[info(), info(offset=96)], data=W + W), BAD, "twice"),
    "rank-0": (gg(infos=[info(dims=())], data=W), BAD, "0 dimensions"),
    "rank-5": (gg(infos=[info(dims=(32, 1, 1, 1, 1))], data=W), BAD, "5 dimensions"),
    "dim-zero": (gg(infos=[info(dims=(32, 0))], data=W), BAD, "absurd"),
    "dim-2-63": (gg(infos=[info(dims=(BIG, 2))], data=W), BAD, "absurd"),
    "dims-wrap": (gg(infos=[info(dims=(2**32, 2**32))], data=W), BAD, "absurd"),
    "not-a-block": (gg(infos=[info(dims=(33, 2))], data=W), BAD, "multiple of 32"),
    "type-iq3-s": (gg(infos=[info(dims=(256,), kind=21)], data=bytes(128)), "unsupported", 'tensor "w" has type IQ3_S'),
    "type-nvfp4": (gg(infos=[info(dims=(64,), kind=40)], data=bytes(64)), "unsupported", 'tensor "w" has type NVFP4'),
    "type-q8-k": (gg(infos=[info(dims=(256,), kind=15)], data=bytes(320)), "unsupported", 'tensor "w" has type Q8_K'),
    "type-i32": (gg(infos=[info(kind=26)], data=bytes(256)), "unsupported", 'tensor "w" has type I32'),
    "good-q6-k": (gg(infos=[info(dims=(256, 2), kind=14)], data=bytes(448)), None, ""),
    "k-not-a-block": (gg(infos=[info(dims=(128, 4), kind=12)], data=bytes(288)), BAD, "multiple of 256"),
    "k-truncated": (gg(infos=[info(dims=(256, 2), kind=10)], data=bytes(167)), BAD, "truncated"),
    "k-overlap": (gg(infos=[info(dims=(256,), kind=11), info("v", offset=96)], data=bytes(224)), BAD, "not at 128"),
    "q5-truncated": (gg(infos=[info(kind=6)], data=bytes(43)), BAD, "truncated"),
    "type-4": (gg(infos=[info(kind=4)], data=W), BAD, "unknown type 4"),
    "type-2-31": (gg(infos=[info(kind=2**31)], data=W), BAD, "unknown type"),
    "offset-misaligned": (gg(infos=[info(offset=1)], data=W), BAD, "begins at 1"),
    "offset-hole": (gg(infos=[info(offset=32)], data=W + bytes(32)), BAD, "begins at 32"),
    "offset-overlap": (gg(infos=[info(), info("v", offset=64)], data=W + W), BAD, "not at 96"),
    "offset-2-63": (gg(infos=[info(offset=BIG)], data=W), BAD, "absurd"),
    "truncated": (gg(infos=[info()], data=W[:67]), BAD, "truncated"),
    "no-data": (gg(infos=[info()]), BAD, "truncated"),
    "big-tensor": (gg(infos=[info(dims=(2**20, 2**20))], data=W), BAD, "truncated"),
    "trailing": (gg(infos=[info()], data=W + b"PK\x05\x06"), BAD, "after the last tensor"),
}


# --------------------------------------------------------------------- folder
ONE = st({"a": A}, D)
TWO = st({"b": A}, D)
CONFIG = b'{"model_type":"llama"}'
S1, S2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def index(weight_map):
    return json.dumps({"metadata": {}, "weight_map": weight_map}).encode()


def sharded(weight_map=None, **more):
    files = {"config.json": CONFIG, "model.safetensors.index.json": index(weight_map or {"a": S1, "b": S2}), S1: ONE, S2: TWO}
    return {k: v for k, v in (files | {k.replace("__", "."): v for k, v in more.items()}).items() if v is not None}


SINGLE = {"config.json": CONFIG, "model.safetensors": ONE}
HUB = {"hub/models--o--n/blobs/c": CONFIG, "hub/models--o--n/blobs/w": ONE, "hub/models--o--n/snapshots/r/.keep": b"", "out": ONE}
SNAP = "hub/models--o--n/snapshots/r"
SHARD = lambda name: dict(files=sharded({"a": S1, "b": name}), code=BAD, contains="not a plain name")
FOLDER = {
    "good": dict(files=SINGLE),
    "good-sharded": dict(files=sharded()),
    "good-proto-config": dict(files=SINGLE | {"config.json": b'{"__proto__":{"polluted":1}}'}),
    "good-named-by-link": dict(files={f"m/{k}": v for k, v in SINGLE.items()}, links={"l": "m"}, open="l"),
    "good-hub-cache": dict(files=HUB, open=SNAP, links={f"{SNAP}/config.json": "../../blobs/c", f"{SNAP}/model.safetensors": "../../blobs/w"}),
    "hub-cache-leaves": dict(files=HUB, open=SNAP, links={f"{SNAP}/config.json": "../../blobs/c", f"{SNAP}/model.safetensors": "../../../../out"}, code=BAD, contains="is a link"),
    "hub-cache-dangling": dict(files=HUB, open=SNAP, links={f"{SNAP}/config.json": "../../blobs/none"}, code="missing-file", contains="link to nothing"),
    "missing": dict(files={"x": b""}, open="nowhere", code="missing-file", contains="does not exist"),
    "a-file": dict(files={"x": b"x"}, open="x", code="unsupported", contains="not a model"),
    "a-weights-file": dict(files=SINGLE, open="model.safetensors", code="unsupported", contains="single weights file"),
    "a-pointer": dict(files={"x.gguf": b"version https://git-lfs.github.com/spec/v1\n"}, open="x.gguf", code=BAD, contains="Git LFS pointer"),
    "empty": dict(files={".keep": b""}, code="missing-file", contains="config.json"),
    "only-gguf": dict(files={"m.gguf": b"GGUF"}, code=BAD, contains="m.gguf"),
    "run-folder": dict(files={"run.json": b"{}", "published/config.json": CONFIG}, code="missing-file", contains="published"),
    "no-weights": dict(files={"config.json": CONFIG}, code="missing-file", contains="neither"),
    "only-pickle": dict(files={"config.json": CONFIG, "pytorch_model.bin": b"PK"}, code=BAD, contains="pytorch_model.bin"),
    "config-not-json": dict(files=SINGLE | {"config.json": b"{"}, code=BAD, contains="config.json"),
    "config-list": dict(files=SINGLE | {"config.json": b"[]"}, code=BAD, contains="not a JSON object"),
    "config-twice": dict(files=SINGLE | {"config.json": b'{"rope_theta":1,"rope_theta":2}'}, code=BAD, contains='"rope_theta" twice'),
    "config-folder": dict(files={"config.json/x": b""}, code=BAD, contains="not a regular file"),
    "config-link": dict(files={"config": CONFIG, "model.safetensors": ONE}, links={"config.json": "config"}, code=BAD, contains="is a link"),
    "weights-link": dict(files={"config.json": CONFIG, "w": ONE}, links={"model.safetensors": "w"}, code=BAD, contains="is a link"),
    "weights-device": dict(files={"config.json": CONFIG}, links={"model.safetensors": "/dev/zero"}, code=BAD, contains="is a link"),
    "shard-link": dict(files={k: v for k, v in sharded().items() if k != S2} | {"w": TWO}, links={S2: "w"}, code=BAD, contains="is a link"),
    "shard-missing": dict(files={k: v for k, v in sharded().items() if k != S2}, code="missing-file", contains=S2),
    "shard-up": SHARD("../out.safetensors"),
    "shard-absolute": SHARD("/etc/x.safetensors"),
    "shard-backslash": SHARD("..\\out.safetensors"),
    "shard-drive": SHARD("C:x.safetensors"),
    "shard-stream": SHARD("x.safetensors:y.safetensors"),
    "shard-unc": SHARD("\\\\host\\x.safetensors"),
    "shard-nul": SHARD("x\u0000.safetensors"),
    "shard-device": SHARD("NUL.safetensors"),
    "shard-long": SHARD("x" * 600 + ".safetensors"),
    "shard-hidden": SHARD(".x.safetensors"),
    "shard-trailing-dot": SHARD("x.safetensors."),
    "shard-empty": SHARD(""),
    "shard-pickle": dict(files=sharded({"a": S1, "b": "x.bin"}), code="unsupported", contains="x.bin"),
    "shard-number": dict(files=sharded({"a": S1, "b": 2}), code=BAD, contains="not a file name"),
    "index-empty": dict(files={"config.json": CONFIG, "model.safetensors.index.json": index({})}, code=BAD, contains="empty"),
    "index-no-map": dict(files={"config.json": CONFIG, "model.safetensors.index.json": b"{}"}, code=BAD, contains="weight_map"),
    "index-twice": dict(files=sharded() | {"model.safetensors.index.json": b'{"weight_map":{"a":"%s","a":"%s"}}' % (S1.encode(), S2.encode())}, code=BAD, contains="twice"),
    # transformers loads every tensor of every shard that the index names, wherever the index says it is.
    "good-index-wrong-shard": dict(files=sharded({"a": S2, "b": S1})),
    "good-index-lacks-tensor": dict(files=sharded() | {S2: st({"b": A, "c": entry(begin=24, end=48)}, bytes(48))}),
    "good-shard-dot": dict(files=sharded({"a": "./" + S1, "b": ".//" + S2})),
    "index-extra-tensor": dict(files=sharded({"a": S1, "b": S2, "c": S2}), code=BAD, contains='"c"'),
    "good-two-shards-one-name": dict(files=sharded({"a": S1, "b": S2}) | {S2: st({"a": A, "b": entry(begin=24, end=48)}, D + bytes(24))}),
    "two-shards-other-values": dict(files=sharded() | {S2: st({"a": A, "b": entry(begin=24, end=48)}, bytes([1]) * 24 + bytes(24))}, code=BAD, contains="two shards with different values"),
    "shard-truncated": dict(files=sharded() | {S2: TWO[:-1]}, code=BAD, contains=S2),
}

for kind, cases in [("safetensors", SAFETENSORS), ("gguf", GGUF)]:
    folder = fresh(kind)
    for name, (data, code, contains) in cases.items():
        assert len(data) < 2048, (kind, name, len(data))
        (folder / f"{name}.{kind}").write_bytes(data)
        (folder / f"{name}.json").write_text(json.dumps({"code": code, "contains": contains}) + "\n")
folder = fresh("folder")
for name, case in FOLDER.items():
    files = {k: base64.b64encode(v).decode() for k, v in case["files"].items()}
    told = {"code": case.get("code"), "contains": case.get("contains", ""), "open": case.get("open", ""),
            "links": case.get("links", {}), "files": files}
    (folder / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")
