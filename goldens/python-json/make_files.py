"""What `datasets` reads from files of JSON rows of odd forms. Run: python goldens/python-json/make_files.py   (datasets)

Writes files.json: by name the text and its rows, or "error"; each in a process of its own, since some end it.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
A, B = '{"instruction": "a", "output": "b"}', '{"instruction": "c", "output": "d"}'
FILES = {
    "printed.json": json.dumps(json.loads(A), indent=2) + "\n",
    "one.json": A,
    "one.jsonl": f"{A}\n",
    "printed-together.json": json.dumps(json.loads(A), indent=1) + "\n" + json.dumps(json.loads(B), indent=1),
    "printed-together.jsonl": json.dumps(json.loads(A), indent=1) + "\n" + json.dumps(json.loads(B), indent=1) + "\n",
    "no-breaks.json": A + B,
    "no-breaks.jsonl": f"{A} {B}",
    "old-mac.jsonl": f"{A}\r{B}\r",
    "windows.jsonl": f"{A}\r\n{B}\r\n",
    "mark.jsonl": f"\ufeff{A}\n{B}\n",
    "mark.json": f"\ufeff[{A}]",
    "blank-first.jsonl": f"\n\n{A}\n\n{B}",
    "array.jsonl": f"[{A}, {B}]\n",
    "nan.jsonl": '{"instruction": "a", "output": "b", "x": NaN}\n',
    "comma.json": f"[{A},]",
    "comma-in-row.jsonl": '{"instruction": "a", "output": "b",}\n',
    "commas.jsonl": f"{A},\n{B}\n",
    "null-first.jsonl": f"null\n{A}\n",
    "number-first.jsonl": f"1\n{A}\n",
    "arrays.jsonl": '["a", "b"]\n["c", "d"]\n',
    "text.json": '"x"',
}
ONE = """
import json, logging, sys, tempfile, warnings
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
import datasets
datasets.disable_progress_bars()
with tempfile.TemporaryDirectory() as cache:
    rows = [dict(row) for row in datasets.load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=cache)]
    print(json.dumps([{k: "NaN" if v != v else v for k, v in row.items()} for row in rows]))
"""


def read(name, text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode())
        done = subprocess.run([sys.executable, "-c", ONE, str(path)], capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else "error"


def main():
    import datasets
    out = {"made_by": "goldens/python-json/make_files.py", "versions": {"datasets": datasets.__version__},
           "files": {name: {"text": text, "rows": read(name, text)} for name, text in FILES.items()}}
    (HERE / "files.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
