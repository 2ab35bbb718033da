"""Rows of rows.py as the Parquet files that the hub keeps of two data sets, nested columns among them.

usage: make_hub.py        (writes hub/)   Needs pyarrow.
"""
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rows import ROWS

HUB = Path(__file__).parent / "hub"
shutil.rmtree(HUB, ignore_errors=True)


def write(path, rows):
    (HUB / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), HUB / path, compression="snappy")


piqa, arc = ROWS[("baber/piqa", None)], ROWS[("allenai/ai2_arc", "ARC-Easy")]
write("piqa/data/train-00000-of-00002.parquet", piqa["train"][:4])
write("piqa/data/train-00001-of-00002.parquet", piqa["train"][4:])
write("piqa/data/validation-00000-of-00001.parquet", piqa["validation"])
write("ai2_arc/ARC-Easy/train/0000.parquet", arc["train"])
write("ai2_arc/ARC-Easy/test/0000.parquet", arc["test"])
write("ai2_arc/ARC-Challenge/test/0000.parquet", ROWS[("allenai/ai2_arc", "ARC-Challenge")]["test"])
