"""Files that hold rows for others and none that Whorl reads, and what the conversions that its messages advise make of
them. Needs pandas, openpyxl, pyarrow, numpy, pyyaml. Run: python make_other.py
"""
import bz2
import gzip
import io
import json
import lzma
import pathlib
import pickle
import platform
import shutil
import sqlite3
import tarfile
import zipfile

import numpy
import openpyxl
import pandas
import pyarrow
import yaml

here = pathlib.Path(__file__).parent / "other"
shutil.rmtree(here, ignore_errors=True)
here.mkdir()
# What a careless conversion changes: a number, an NA that is text, an empty cell, quotes, a line break inside a cell.
ROWS = [
    {"instruction": "Add 1, and 2", "input": "", "output": "3"},
    {"instruction": 'Say "NA"', "input": "two\nlines", "output": "NA"},
    {"instruction": "Nothing", "input": "007", "output": "null"},
]
frame = pandas.DataFrame(ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
frame.to_csv(here / "rows.csv", index=False)
frame.to_csv(here / "rows.tsv", index=False, sep="\t")
frame.to_excel(here / "rows.xlsx", index=False)
(here / "rows.yaml").write_text(yaml.safe_dump(ROWS))
frame.to_orc(here / "rows.orc")
(here / "rows.pkl").write_bytes(pickle.dumps(ROWS))
numpy.save(here / "rows.npy", numpy.zeros(3))
numpy.savez(here / "rows.npz", rows=numpy.zeros(3))
with sqlite3.connect(here / "rows.db") as database:
    database.execute("pragma page_size = 512")
    frame.to_sql("rows", database, index=False)
(here / "rows.utf16.jsonl").write_bytes(LINES.decode().encode("utf-16"))
with zipfile.ZipFile(here / "rows.zip", "w") as archive:
    archive.writestr("rows.jsonl", LINES)
(here / "rows.jsonl.gz").write_bytes(gzip.compress(LINES, mtime=0))
(here / "rows.jsonl.bz2").write_bytes(bz2.compress(LINES))
(here / "rows.jsonl.xz").write_bytes(lzma.compress(LINES))
with tarfile.open(here / "rows.tar", "w") as archive:
    member = tarfile.TarInfo("rows.jsonl")
    member.size = len(LINES)
    archive.addfile(member, io.BytesIO(LINES))

# The advice, word for word as messages have it, run on the files.
ADVICE = {
    "rows.csv": "read_csv(FILE, dtype=str, keep_default_na=False)",
    "rows.tsv": 'read_csv(FILE, sep="\\t", dtype=str, keep_default_na=False)',
    "rows.xlsx": "read_excel(FILE, dtype=str, keep_default_na=False)",
    "rows.orc": "read_orc(FILE)",
}
TAIL = '.to_json("rows.jsonl", orient="records", lines=True)'
advised = {}
for name, call in ADVICE.items():
    made = eval(f"pandas.{call}{TAIL.replace('rows.jsonl', str(here / 'made.jsonl'))}", {"pandas": pandas, "FILE": here / name})
    advised[name] = {"advice": call + TAIL, "lines": (here / "made.jsonl").read_text()}
    (here / "made.jsonl").unlink()
call = 'json.dump(yaml.safe_load(open(FILE)), open("rows.json", "w"))'
advised["rows.yaml"] = {"advice": call, "lines": json.dumps(yaml.safe_load(open(here / "rows.yaml")))}
versions = {m.__name__: m.__version__ for m in (pandas, openpyxl, pyarrow, numpy, yaml)} | {"python": platform.python_version()}
(here / "golden.json").write_text(json.dumps({"versions": versions, "rows": ROWS, "advised": advised}, indent=1) + "\n")
