"""Kinds of Arrow and Parquet files that data sets come in beside the plain ones, with what Python reads in them.
Run: python goldens/datasets/make_kinds.py   (datasets 5, pyarrow). Writes kinds/ and kinds.json.
"""
import json
import math
import pathlib
import shutil

import datasets
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from datasets import Dataset, Features, Json, List, Value

HERE = pathlib.Path(__file__).parent
OUT = HERE / "kinds"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()

# Longer than one LZ4 block, with matches near and far, runs, and text that does not pack; nulls and empty values.
noise = "".join(chr(33 + (i * i * 7919 + i // 3) % 90) for i in range(3000))
table = pa.table({
    "instruction": ["a" * 70000, "ab" * 20000 + noise, "", None, noise[::-1], "привет 🦔" * 9000],
    "n": pa.array([1, None, 2**60 + 1, -3, 0, 7], pa.int64()),
    "score": [0.5, math.pi, None, -1.0, 1e300, 0.0],
    "ok": [True, None, False, True, True, False],
    "tags": [["x", "y"], [], None, ["z" * 300], [None], ["x"]],
    "word": pa.array(["a", "b", "a", None, "b", "a"]).dictionary_encode(),
})
for codec in ("lz4", "zstd", "uncompressed"):
    feather.write_feather(table, OUT / f"{codec}.feather", compression=codec, chunksize=4)
with pa.OSFile(str(OUT / "lz4-stream.arrow"), "wb") as sink:
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)

turns = [[{"from": "human", "value": "hi", "weight": 1}, {"from": "gpt", "value": "привет"}], [], [{"from": "human", "value": None}]]
mixed = {
    "instruction": ["a", "b", "c"], "meta": [{"a": 1, "b": "x"}, [1, None, "y"], None], "turns": turns,
    "one": ["plain", '"quoted"', None], "deep": [{"list": [{"x": 2**60 + 1}, "s"]}, {"list": []}, {"list": [None, 1.5]}],
}
features = Features({"instruction": Value("string"), "meta": Json(), "turns": List(Json()), "one": Json(), "deep": {"list": List(Json())}})
saved = Dataset.from_dict(mixed, features=features)
saved.save_to_disk(OUT / "json")
saved.to_parquet(OUT / "json.parquet")

dotted = pa.table({"instruction": ["a"], "meta.source": ["web"], "a.b.c": [1], ".": ["dot"], "meta": [{"x": 1, "y.z": 2}]})
with pa.OSFile(str(OUT / "dotted.arrow"), "wb") as sink, pa.ipc.new_file(sink, dotted.schema) as writer:
    writer.write_table(dotted)
pq.write_table(dotted, OUT / "dotted.parquet")
Dataset(dotted).save_to_disk(OUT / "dotted")
# A column whose name is the path of another's member: a reader that joins paths cannot tell them apart.
clash = pa.table({"meta.x": ["flat"], "meta": [{"x": "inner"}]})
pq.write_table(clash, OUT / "clash.parquet")

twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["input", "input"])
with pa.OSFile(str(OUT / "twice.arrow"), "wb") as sink, pa.ipc.new_file(sink, twice.schema) as writer:
    writer.write_table(twice)
pq.write_table(twice, OUT / "twice.parquet")
struct = pa.StructArray.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["x", "x"])
inner = pa.table({"meta": struct})
with pa.OSFile(str(OUT / "twice-inside.arrow"), "wb") as sink, pa.ipc.new_file(sink, inner.schema) as writer:
    writer.write_table(inner)

read = {
    "table": table.to_pylist(),
    "json": list(datasets.load_from_disk(OUT / "json")),
    "json.parquet": list(datasets.load_dataset("parquet", data_files=str(OUT / "json.parquet"), split="train", cache_dir="/tmp/whorl-kinds")),
    "dotted": dotted.to_pylist(),
}
made = {"datasets": datasets.__version__, "pyarrow": pa.__version__}
tagged = lambda v: {"$big": str(v)} if isinstance(v, int) and not isinstance(v, bool) and abs(v) > 2**53 else v
walk = lambda v: {k: walk(x) for k, x in v.items()} if isinstance(v, dict) else [walk(x) for x in v] if isinstance(v, list) else tagged(v)
(HERE / "kinds.json").write_text(json.dumps({"made_by": made, "read": walk(read)}) + "\n")
