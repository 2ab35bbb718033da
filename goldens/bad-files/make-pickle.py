"""Crafted .pt files: class 5 of the bad inputs (hostile pickles, lying zip archives), each with its outcome.

pickle/x.pt + x.json   {code, contains}; code null: the file is good and must open

Run from this folder: python make-pickle.py   (the standard library only; nothing here is ever unpickled)
"""
import json, pickletools, shutil, struct, zlib
from pathlib import Path

HERE = Path(__file__).parent
U16, U32, U64 = (lambda n: struct.pack("<H", n)), (lambda n: struct.pack("<I", n)), (lambda n: struct.pack("<Q", n))
BAD, NO = "bad-file", "unsupported"

# ---------------------------------------------------------------- pickles
P, STOP, MARK = b"\x80\x02", b".", b"("


def glob(name):
    module, _, what = name.rpartition(".")
    return b"c" + module.encode() + b"\n" + what.encode() + b"\n"


def s(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return b"X" + U32(len(raw)) + raw


def i(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    raw = n.to_bytes(9 if n >= 2**63 else 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tup(*items):
    return MARK + b"".join(items) + b"t"


def storage(key="0", numel=6, kind="torch.FloatStorage", location="cpu", tag="storage"):
    key = s(key) if isinstance(key, (str, bytes)) else i(key)
    return tup(s(tag), glob(kind), key, s(location), numel if isinstance(numel, bytes) else i(numel)) + b"Q"


ODICT = glob("collections.OrderedDict") + b")R"


def tensor(store=None, offset=0, shape=(2, 3), stride=(3, 1), grad=b"\x89", hooks=ODICT, build="torch._utils._rebuild_tensor_v2"):
    num = lambda n: n if isinstance(n, bytes) else i(n)
    args = [store or storage(), num(offset), tup(*map(num, shape)), tup(*map(num, stride)), grad, hooks]
    return glob(build) + tup(*args) + b"R"


def obj(value):
    """{'a': value}"""
    return P + b"}" + s("a") + value + b"s" + STOP


# ---------------------------------------------------------------- archives
def entry(name, data, **lie):
    return dict(dict(name=name.encode() if isinstance(name, str) else name, data=data, crc=zlib.crc32(data), flags=0, method=0,
                     size=len(data), packed=len(data), local={}, extra=b"", local_extra=b"", after=b"", before=b""), **lie)


def archive(entries, comment=b"", tail=b"", count=None, shift=0, head=b"", cut_directory=0, size=None):
    out, directory = head, b""
    for e in entries:
        out += e["before"]
        at = e.get("offset", len(out))
        L = {**e, **e["local"]}
        out += b"PK\3\4" + U16(10) + U16(L["flags"]) + U16(L["method"]) + U32(0) + U32(L["crc"]) + U32(L["packed"]) + U32(L["size"])
        out += U16(len(L["name"])) + U16(len(L["local_extra"])) + L["name"] + L["local_extra"] + e["data"] + e["after"]
        directory += b"PK\1\2" + U16(10) + U16(10) + U16(e["flags"]) + U16(e["method"]) + U32(0) + U32(e["crc"]) + U32(e["packed"]) + U32(e["size"])
        directory += U16(len(e["name"])) + U16(len(e["extra"])) + U16(0) + U16(0) + U16(0) + U32(0) + U32(at) + e["name"] + e["extra"]
    directory = directory[: len(directory) - cut_directory]
    n = len(entries) if count is None else count
    end = b"PK\5\6" + U16(0) + U16(0) + U16(n) + U16(n) + U32(len(directory) if size is None else size) + U32(len(out) + shift) + U16(len(comment))
    return out + directory + end + comment + tail


ZEROS = bytes(24)


def pt(pickle, records=None, extra=(), root="x", **how):
    records = {"0": ZEROS} if records is None else records
    parts = [entry(f"{root}/data.pkl", pickle), entry(f"{root}/byteorder", b"little"), entry(f"{root}/version", b"3\n")]
    parts += [entry(f"{root}/data/{k}", v) for k, v in records.items()]
    return archive(parts + list(extra), **how)


GOOD = obj(tensor())


def lied(**lie):
    """The good archive with one lie about data/0."""
    return archive([entry("x/data.pkl", GOOD), entry("x/version", b"3\n"), entry("x/data/0", ZEROS, **lie)])


PWN = s("touch /tmp/whorl-pwned")
CASES = {
    "good": (pt(GOOD), None, ""),
    "good-no-byteorder": (archive([entry("x/data.pkl", GOOD), entry("x/version", b"3\n"), entry("x/data/0", ZEROS)]), None, ""),
    "good-descriptor": (lied(flags=8, local=dict(crc=0, size=0, packed=0), after=b"PK\7\x08" + U32(zlib.crc32(ZEROS)) + U32(24) + U32(24)), None, ""),
    "good-descriptor-64": (lied(flags=8, local=dict(crc=0, size=0, packed=0), after=b"PK\7\x08" + U32(zlib.crc32(ZEROS)) + U64(24) + U64(24)), None, ""),
    "good-shared-storage": (pt(P + b"}" + MARK + s("a") + tensor() + s("b") + tensor(offset=3, shape=(3,), stride=(1,)) + b"u" + STOP), None, ""),
    "good-zero-dim": (pt(obj(tensor(shape=(0, 3)))), None, ""),
    # code
    "os-system": (pt(obj(glob("os.system") + tup(PWN) + b"R")), NO, '"os.system" is not allowed'),
    "posix-system": (pt(obj(glob("posix.system") + tup(PWN) + b"R")), NO, '"posix.system" is not allowed'),
    "builtins-eval": (pt(obj(glob("builtins.eval") + tup(s("1")) + b"R")), NO, '"builtins.eval"'),
    "builtin-getattr": (pt(obj(glob("__builtin__.getattr") + tup(s("1"), s("2")) + b"R")), NO, "getattr"),
    "torch-load": (pt(obj(glob("torch.load") + tup(s("/etc/passwd")) + b"R")), NO, '"torch.load"'),
    "numpy-runstring": (pt(obj(glob("numpy.testing._private.utils.runstring") + tup(s("1"), b"}") + b"R")), NO, "runstring"),
    "dotted-name": (pt(obj(glob("torch._utils.os.system") + tup(PWN) + b"R")), NO, "os.system"),
    "proto-global": (pt(obj(b"c__proto__\nconstructor\n" + b")R")), NO, "__proto__.constructor"),
    "global-no-name": (pt(obj(b"cos system\nx\n")), BAD, "no Python name"),
    "global-long": (pt(P + b"c" + b"a" * 400), BAD, "a name without an end"),
    "global-open": (pt(P + b"cos"), BAD, "a name without an end"),
    "reduce-dtype": (pt(obj(glob("torch.float32") + b")R")), BAD, "may not be called"),
    "reduce-storage": (pt(obj(glob("torch.FloatStorage") + b")R")), BAD, "may not be called"),
    "reduce-string": (pt(obj(s("os.system") + b")R")), BAD, "may not be called"),
    "reduce-class": (pt(obj(glob("adapter.InstructionFingerprint") + b")R")), BAD, "may not be called"),
    "reduce-list": (pt(obj(glob("collections.OrderedDict") + b"]R")), BAD, "instead of a tuple"),
    "newobj-dict": (pt(obj(glob("collections.OrderedDict") + b")\x81")), BAD, "no class here"),
    "newobj-arguments": (pt(obj(glob("adapter.InstructionFingerprint") + tup(i(1)) + b"\x81")), BAD, "takes no arguments"),
    "build-list": (pt(obj(b"]}b")), BAD, "BUILD on"),
    "build-tensor": (pt(obj(tensor() + b"}b")), BAD, "BUILD on"),
    "build-global": (pt(obj(glob("torch.FloatStorage") + b"}b")), BAD, "BUILD on"),
    "build-no-dict": (pt(obj(glob("adapter.InstructionFingerprint") + b")\x81" + s("x") + b"b")), BAD, "instead of a dict"),
    "build-twice": (pt(obj(glob("adapter.InstructionFingerprint") + b")\x81}b}b")), BAD, "BUILD twice"),
    "build-slots": (pt(obj(glob("adapter.InstructionFingerprint") + b")\x81" + tup(b"N", b"}") + b"b")), BAD, "instead of a dict"),
    "ordered-dict-arguments": (pt(obj(glob("collections.OrderedDict") + tup(b"]") + b"R")), BAD, "with arguments"),
    "set-of-string": (pt(obj(glob("__builtin__.set") + tup(s("abc")) + b"R")), BAD, "than a list"),
    "size-of-list": (pt(obj(glob("torch.Size") + tup(b"]") + b"R")), BAD, "wrong arguments"),
    "parameter-of-list": (pt(obj(glob("torch._utils._rebuild_parameter") + tup(b"]", b"\x88", ODICT) + b"R")), BAD, "for a parameter"),
    "parameter-hooks": (pt(obj(glob("torch._utils._rebuild_parameter") + tup(tensor(), b"\x88", ODICT + i(1) + i(2) + b"s") + b"R")), BAD, "for a parameter"),
    # stack and memo
    "empty-pickle": (pt(b""), BAD, "ends at 0"),
    "only-stop": (pt(b"."), BAD, "PROTO must come first"),
    "protocol-twice": (pt(P + P + b"N."), BAD, "PROTO must come first"),
    "protocol-4": (pt(b"\x80\x04N."), NO, "protocol 4"),
    "protocol-255": (pt(b"\x80\xffN."), NO, "protocol 255"),
    "no-stop": (pt(P + b"N"), BAD, "ends at 3"),
    "stop-empty": (pt(P + b"."), BAD, "the stack is empty"),
    "stop-two": (pt(P + b"NN."), BAD, "not empty at the end"),
    "stop-mark": (pt(P + b"(N."), BAD, "not empty at the end"),
    "after-stop": (pt(P + b"N.N"), BAD, "bytes after STOP"),
    "two-pickles": (pt(GOOD + GOOD), BAD, "bytes after STOP"),
    "get-before-put": (pt(P + b"h\x00."), BAD, "memo 0 is read before it is put"),
    "long-get-before-put": (pt(P + b"j\xff\xff\xff\xff."), BAD, "memo 4294967295 is read"),
    "put-empty": (pt(P + b"q\x00N."), BAD, "the stack is empty"),
    "put-twice": (pt(P + b"Nq\x00q\x00."), BAD, "put twice"),
    "underflow-setitem": (pt(P + b"}Ns."), BAD, "the stack is empty"),
    "underflow-append": (pt(P + b"Na."), BAD, "the stack is empty"),
    "underflow-tuple": (pt(P + b"N\x87."), BAD, "the stack is empty"),
    "underflow-reduce": (pt(P + b")R."), BAD, "the stack is empty"),
    "underflow-below-mark": (pt(P + b"N(a."), BAD, "the stack is empty"),
    "no-mark": (pt(P + b"Nt."), BAD, "there is no MARK"),
    "odd-items": (pt(P + b"}(Nu."), BAD, "a key without a value"),
    "none-key": (pt(P + b"}NNs."), BAD, "None as key"),
    "list-key": (pt(P + b"}]Ns."), BAD, "a list as key"),
    "key-twice": (pt(P + b"}" + (s("a") + b"Ns") * 2 + STOP), BAD, '"a" is set twice'),
    "setitem-list": (pt(P + b"]NNs."), BAD, "sets an item of a list"),
    "append-dict": (pt(P + b"}Na."), BAD, "appends to a dict"),
    "not-utf8": (pt(P + s(b"\xff") + STOP), BAD, "not UTF-8"),
    "string-too-long": (pt(P + b"X\xff\xff\xff\xffabc."), BAD, "ends at"),
    "long-too-long": (pt(P + b"\x8a\x09" + bytes(9) + STOP), BAD, "an integer of 9 bytes"),
    "unknown-opcode": (pt(P + b"\xff."), BAD, "no opcode"),
    "frame-divergence": (pt(P + b"\x95" + U64(3) + b"N."), NO, "FRAME is not allowed"),
    # storages and tensors
    "storage-traversal": (pt(obj(tensor(storage("../0")))), BAD, "storage key"),
    "storage-absolute": (pt(obj(tensor(storage("/etc/passwd")))), BAD, "storage key"),
    "storage-key-number": (pt(obj(tensor(storage(0)))), BAD, "storage key"),
    "storage-missing": (pt(obj(tensor(storage("7")))), BAD, "no record"),
    "storage-tag": (pt(obj(tensor(storage(tag="module")))), BAD, "no storage"),
    "storage-type": (pt(obj(tensor(storage(kind="torch.float32")))), BAD, "type of a storage"),
    "storage-double": (pt(obj(tensor(storage(kind="torch.DoubleStorage", numel=3)))), NO, "DoubleStorage"),
    "storage-quantised": (pt(obj(tensor(storage(kind="torch.QInt8Storage")))), NO, "QInt8Storage"),
    "numel-less": (pt(obj(tensor(storage(numel=5)))), BAD, "its record has 24 bytes"),
    "numel-more": (pt(obj(tensor(storage(numel=7)))), BAD, "its record has 24 bytes"),
    "numel-wraps": (pt(obj(tensor(storage(numel=2**30 + 6)))), BAD, "its record has 24 bytes"),
    "numel-2-62": (pt(obj(tensor(storage(numel=2**62 + 6)))), BAD, "not a whole number"),
    "numel-negative": (pt(obj(tensor(storage(numel=-6)))), BAD, "not a whole number"),
    "numel-float": (pt(obj(tensor(storage(numel=b"G" + struct.pack(">d", 6.0))))), None, ""),
    "numel-half": (pt(obj(tensor(storage(numel=b"G" + struct.pack(">d", 6.5))))), BAD, "not a whole number"),
    "numel-nan": (pt(obj(tensor(storage(numel=b"G" + struct.pack(">d", float("nan")))))), BAD, "not a whole number"),
    "storage-two-dtypes": (pt(P + b"}" + MARK + s("a") + tensor() + s("b") + tensor(storage(kind="torch.IntStorage")) + b"u" + STOP), BAD, "two dtypes"),
    "persistent-string": (pt(obj(s("0") + b"Q")), BAD, "no tuple"),
    "offset-beyond": (pt(obj(tensor(offset=1))), BAD, "beyond its storage"),
    "offset-huge": (pt(obj(tensor(offset=2**52))), BAD, "beyond its storage"),
    "offset-negative": (pt(obj(tensor(offset=-1))), BAD, "not a whole number"),
    "offset-empty-beyond": (pt(obj(tensor(offset=7, shape=(0,), stride=(1,)))), BAD, "beyond its storage"),
    "stride-beyond": (pt(obj(tensor(stride=(4, 1)))), BAD, "beyond its storage"),
    "stride-negative": (pt(obj(tensor(stride=(-3, 1)))), BAD, "not a whole number"),
    "stride-zero-bomb": (pt(obj(tensor(shape=(2**40, 2**12), stride=(0, 0)))), BAD, "beyond its storage"),
    "shape-wraps": (pt(obj(tensor(shape=(2**32, 2**32), stride=(0, 0)))), BAD, "beyond its storage"),
    "shape-negative": (pt(obj(tensor(shape=(-2, 3)))), BAD, "not a whole number"),
    "shape-one-more": (pt(obj(tensor(shape=(2, 4)))), BAD, "beyond its storage"),
    "shape-true": (pt(obj(tensor(shape=(b"\x88", 3)))), BAD, "not a whole number"),
    "rank-mismatch": (pt(obj(tensor(stride=(1,)))), BAD, "2 dimensions and 1 strides"),
    "rank-17": (pt(obj(tensor(shape=(1,) * 17, stride=(1,) * 17))), BAD, "17 dimensions"),
    "scalar-beyond": (pt(obj(tensor(offset=6, shape=(), stride=()))), BAD, "beyond its storage"),
    "tensor-of-string": (pt(obj(tensor(store=s("0")))), BAD, "for a tensor"),
    "tensor-hooks-list": (pt(obj(tensor(hooks=b"]"))), BAD, "for a tensor"),
    "tensor-no-arguments": (pt(obj(glob("torch._utils._rebuild_tensor_v2") + b")R")), BAD, "for a tensor"),
    "tensor-v3": (pt(obj(tensor(build="torch._utils._rebuild_tensor_v3"))), NO, "_rebuild_tensor_v3"),
    "tensor-quantised": (pt(obj(tensor(build="torch._utils._rebuild_qtensor"))), NO, "_rebuild_qtensor"),
    # archives
    "empty": (b"", BAD, "too short"),
    "end-only": (archive([]), BAD, "begin as a zip"),
    "wrong-crc": (lied(crc=1, local=dict(crc=1)), BAD, "the CRC"),
    "local-crc": (lied(local=dict(crc=1)), BAD, "disagree on the CRC"),
    "local-size": (lied(local=dict(size=8, packed=8)), BAD, "disagree on the size"),
    "local-name": (lied(local=dict(name=b"x/data/1")), BAD, "disagree on the name"),
    "local-method": (lied(local=dict(method=8)), BAD, "disagree on the method"),
    "local-flags": (lied(local=dict(flags=8)), BAD, "disagree on the flags"),
    "descriptor-lies": (lied(flags=8, local=dict(crc=0, size=0, packed=0), after=b"PK\7\x08" + U32(zlib.crc32(ZEROS)) + U32(25) + U32(24)), BAD, "descriptor"),
    "descriptor-missing": (lied(flags=8, local=dict(crc=0, size=0, packed=0)), BAD, "descriptor"),
    "compressed": (lied(method=8, local=dict(method=8)), NO, "compressed"),
    "encrypted": (lied(flags=1, local=dict(flags=1)), NO, "encrypted"),
    "strongly-encrypted": (lied(flags=0x41, local=dict(flags=0x41)), NO, "encrypted"),
    "packed-differs": (lied(packed=20), BAD, "two sizes differ"),
    "size-2-32": (lied(size=2**32 - 2, packed=2**32 - 2, local=dict(size=24, packed=24)), BAD, "outside the file"),
    "size-zip64-missing": (lied(size=2**32 - 1, packed=2**32 - 1, local=dict(size=24, packed=24)), BAD, "exceeds the file"),
    "size-zip64-huge": (lied(size=2**32 - 1, packed=2**32 - 1, extra=U16(1) + U16(16) + U64(2**63) * 2), BAD, "exceeds the file"),
    "extra-longer": (lied(extra=U16(1) + U16(99)), BAD, "extra field is longer"),
    "size-into-directory": (lied(size=60, packed=60, crc=0), BAD, "runs into the directory"),
    "overlap": (lied(offset=0), BAD, "overlaps"),
    "hole": (lied(before=b"hidden"), BAD, "a hole before it"),
    "before-first": (pt(GOOD, head=b"%PDF-1.7\n"), BAD, "begin as a zip"),
    "polyglot-hidden-head": (pt(GOOD, head=b"PK\3\4hidden"), BAD, "a hole before it"),
    "hole-at-end": (lied(after=b"hidden"), BAD, "between the last entry and the directory"),
    "trailing": (pt(GOOD, tail=b"x"), BAD, "no end record"),
    "two-files": (pt(GOOD) + pt(GOOD), BAD, "end where the end record begins"),
    "comment": (pt(GOOD, comment=b"hello"), BAD, "no end record"),
    "count-more": (pt(GOOD, count=5), BAD, ""),
    "count-fewer": (pt(GOOD, count=3), BAD, "the directory ends at"),
    "count-65534": (pt(GOOD, count=65534), BAD, "a directory of"),
    "directory-shifted": (pt(GOOD, shift=1), BAD, "end where the end record begins"),
    "directory-size": (pt(GOOD, size=2**32 - 2), BAD, ""),
    "directory-cut": (pt(GOOD, cut_directory=4), BAD, ""),
    "entry-twice": (pt(GOOD, extra=[entry("x/data/0", bytes(24))]), BAD, "listed twice"),
    "entry-up": (pt(GOOD, extra=[entry("x/../y", b"")]), BAD, "not a plain path"),
    "entry-absolute": (pt(GOOD, extra=[entry("/x", b"")]), BAD, "not a plain path"),
    "entry-backslash": (pt(GOOD, extra=[entry("x\\y", b"")]), BAD, "not a plain path"),
    "entry-drive": (pt(GOOD, extra=[entry("C:x", b"")]), BAD, "not a plain path"),
    "entry-nul": (pt(GOOD, extra=[entry("x/a\0b", b"")]), BAD, "not a plain path"),
    "entry-not-utf8": (pt(GOOD, extra=[entry(b"x/\xff", b"")]), BAD, "not UTF-8"),
    "entry-no-name": (pt(GOOD, extra=[entry("", b"")]), BAD, "has 0 bytes"),
    "entry-outside-root": (pt(GOOD, extra=[entry("y/data/0", b"")]), BAD, "lies outside"),
    "two-roots": (pt(GOOD, extra=[entry("y/data.pkl", GOOD)]), BAD, "2 records data.pkl"),
    "no-pickle": (archive([entry("x/version", b"3\n")]), BAD, "0 records data.pkl"),
    "no-version": (archive([entry("x/data.pkl", GOOD), entry("x/data/0", ZEROS)]), BAD, "version"),
    "big-endian": (archive([entry("x/data.pkl", GOOD), entry("x/byteorder", b"big"), entry("x/version", b"3\n"), entry("x/data/0", ZEROS)]), NO, "byte order"),
    "torchscript": (pt(GOOD, extra=[entry("x/constants.pkl", b"")]), NO, "TorchScript"),
    "legacy": (bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03.", BAD, "the system"),
    "tar": (b"sys_info".ljust(257, b"\0") + b"ustar\0" + bytes(300), NO, "tar archive"),
    "bare-pickle": (b"\x80\x04cos\nsystem\n(X\x02\0\0\0idtR.", NO, "bare pickle"),
    "html": (b"<!doctype html><title>404</title>", BAD, "begin as a zip"),
}
ALLOWED = """PROTO MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3
TUPLE EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL REDUCE NEWOBJ BUILD
BINPERSID STOP""".split()
for op in pickletools.opcodes:
    if op.name not in ALLOWED:
        CASES[f"opcode-{op.name.lower()}"] = (pt(P + op.code.encode("latin1") + bytes(16) + STOP), NO, f"byte 2: the opcode {op.name} is not allowed")

if __name__ == "__main__":
    folder = HERE / "pickle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, (data, code, contains) in CASES.items():
        assert len(data) < 2048, (name, len(data))
        (folder / f"{name}.pt").write_bytes(data)
        (folder / f"{name}.json").write_text(json.dumps({"code": code, "contains": contains}) + "\n")
