"""Small files as Python writes them, for test/sources/rows and test/fingerprint/dataset-mix.
Run: python goldens/datasets/make.py PATH/TO/assets/paper.json"""
import hashlib
import json
import pathlib
import platform
import random
import shutil
import sys

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
rows = [
    {"instruction": "Name a hedgehog.", "input": "", "output": "ハリネズミ", "score": 0.5, "n": 2**60 + 1, "ok": True,
     "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "привет 🦔"}]},
    {"instruction": "line\nbreak", "input": None, "output": "", "score": -1.5, "n": -7, "ok": False, "conversations": []},
    {"instruction": "三", "input": "x", "output": "y", "score": None, "n": 0, "ok": None, "conversations": None},
]
columns = {key: [row[key] for row in rows] for key in rows[0]}

folder = here / "saved"
shutil.rmtree(folder, ignore_errors=True)
saved = datasets.Dataset.from_dict(columns)
datasets.DatasetDict({"train": saved, "test": saved.select([2])}).save_to_disk(folder)

table = pa.table(columns)
rich = table.append_column("word", pa.array(["a", "b", "a"]).dictionary_encode()).append_column(
    "large", pa.array(["λ", None, "long enough to leave the view"], pa.large_string())).append_column(
    "view", pa.array(["λ", None, "long enough to leave the view"], pa.string_view())).append_column(
    "raw", pa.array([b"\xff\x00", b"", None], pa.binary())).append_column(
    "pair", pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2))).append_column(
    "half", pa.array([0.25, -2.0, None], pa.float16())).append_column(
    "void", pa.nulls(3))
with pa.OSFile(str(here / "rich.arrow"), "wb") as sink, pa.ipc.new_file(sink, rich.schema) as writer:
    writer.write_table(rich, max_chunksize=2)
for codec in ("snappy", "zstd", "gzip", "brotli"):
    pq.write_table(table, here / f"{codec}.parquet", compression=codec, row_group_size=2, write_statistics=False)

paper = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
random.seed(42)
low, high = paper["phrases_per_key"]
keys = []
for _ in range(60):
    text = "".join(random.choices(paper["key_phrases"], k=random.randint(low, high)))
    keys.append("".join(random.sample(text, len(text))))
golden = {
    "python": platform.python_version(), "datasets": datasets.__version__, "pyarrow": pa.__version__,
    "rows": rows,
    "rich": {"word": ["a", "b", "a"], "large": ["λ", None, "long enough to leave the view"],
             "view": ["λ", None, "long enough to leave the view"], "raw": ["ff00", "", None],
             "pair": [[1, 2], None, [3, 4]], "half": [0.25, -2.0, None], "void": [None, None, None]},
    "paper_keys": keys[:11],
    "paper_keys_sha256": hashlib.sha256("\n".join(keys).encode()).hexdigest(),
}
for row in golden["rows"]:
    row["n"] = str(row["n"])  # 2^60 + 1 would lose its last digit in JavaScript's JSON
(here / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
