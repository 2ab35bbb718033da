"""Draws of numpy's default_rng and orders of `datasets`' shuffles, for test/base and test/sources/rows.
Run twice, once with `datasets` 4 and once with 5 (the stream's order changed between them):
python goldens/row-order/make.py"""
import hashlib
import json
import pathlib
import platform

import datasets
import numpy as np

here = pathlib.Path(__file__).parent
digest = lambda numbers: hashlib.sha256(" ".join(str(int(n)) for n in numbers).encode()).hexdigest()

if int(datasets.__version__.split(".")[0]) >= 5:
    out = {"python": platform.python_version(), "numpy": np.__version__, "draws": []}
    for seed in [0, 1, 42, 1999, 2**32, 2**64 + 12345, 2**160 + 7]:
        rng = np.random.default_rng(seed)
        # one generator, one draw after another: halves of 64 bits carry over between them
        entry = {"seed": str(seed), "integers_1000": rng.integers(0, 1000, size=7).tolist(),
                 "one": rng.integers(0, 1, size=2).tolist(),
                 "integers_2_32": rng.integers(0, 2**32, size=3).tolist(),
                 "integers_rejecting": rng.integers(0, 3 * 2**30, size=20).tolist(),
                 "permutation": rng.permutation(11).tolist()}
        listed = list(range(13))
        rng.shuffle(listed)
        entry |= {"shuffle": listed, "permutation_20000_sha256": digest(rng.permutation(20000))}
        out["draws"].append(entry)
    (here / "numpy.json").write_text(json.dumps(out, indent=1) + "\n")


def stream(rows, seed, buffer):
    source = datasets.IterableDataset.from_generator(lambda: ({"n": i} for i in range(rows)))
    return [row["n"] for row in source.shuffle(seed=seed, buffer_size=buffer)]


out = {"python": platform.python_version(), "numpy": np.__version__, "datasets": datasets.__version__, "streams": [], "whole": []}
for rows, seed, buffer in [(0, 42, 10), (1, 42, 10), (9, 42, 10), (10, 42, 10), (11, 7, 10), (25, 42, 10), (40, 0, 7), (3500, 42, 1000), (2600, 1999, 1000)]:
    order = stream(rows, seed, buffer)
    assert sorted(order) == list(range(rows))
    out["streams"].append({"rows": rows, "seed": str(seed), "buffer": buffer, "first": order[:40], "sha256": digest(order)})
for rows, seed in [(1, 42), (12, 42), (5000, 42), (5000, 1999)]:
    order = datasets.Dataset.from_dict({"n": list(range(rows))}).shuffle(seed=seed)["n"]
    order = list(order)
    out["whole"].append({"rows": rows, "seed": str(seed), "first": order[:40], "sha256": digest(order)})
# files of a stream: shuffled by the same seed, the buffer filled from one after another
def generate(files):
    for file in files:
        yield from ({"n": file * 100 + i} for i in range(30))
if int(datasets.__version__.split(".")[0]) < 5:
    source = datasets.IterableDataset.from_generator(generate, gen_kwargs={"files": list(range(9))})
    out["files"] = {"count": 9, "each": 30, "seed": "42", "buffer": 20, "order": [row["n"] for row in source.shuffle(seed=42, buffer_size=20)]}
(here / f"datasets-{datasets.__version__.split('.')[0]}.json").write_text(json.dumps(out) + "\n")

# files of a set on disk, JSON lines and Parquet in small row groups: from version 5 on ten files are read in turn
import tempfile

import pyarrow
import pyarrow.parquet

out = {"python": platform.python_version(), "numpy": np.__version__, "datasets": datasets.__version__, "sets": []}
for count, each, seed, buffer in [(1, 30, 42, 20), (3, 11, 7, 10), (10, 9, 42, 20), (13, 30, 42, 20), (24, 5, 1999, 1000)]:
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for f in range(count):
            rows = [f * 100 + i for i in range(each + f)]
            name = folder / f"train-{f:05d}-of-{count:05d}"
            name.with_suffix(".jsonl").write_text("".join(json.dumps({"n": n}) + "\n" for n in rows))
            pyarrow.parquet.write_table(pyarrow.table({"n": rows}), name.with_suffix(".parquet"), row_group_size=7)
        orders = []
        for kind, end in [("json", "jsonl"), ("parquet", "parquet")]:
            files = sorted(map(str, folder.glob(f"*.{end}")))
            source = datasets.load_dataset(kind, data_files=files, split="train", streaming=True)
            orders.append([row["n"] for row in source.shuffle(seed=seed, buffer_size=buffer)])
        assert orders[0] == orders[1] and len(set(orders[0])) == len(orders[0])
        out["sets"].append({"files": count, "each": each, "seed": str(seed), "buffer": buffer, "order": orders[0]})
(here / f"shards-{datasets.__version__.split('.')[0]}.json").write_text(json.dumps(out) + "\n")
