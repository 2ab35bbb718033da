"""Opens a folder of ours with Python's `datasets` and compares it with the rows in a JSON file. By hand:
python goldens/datasets/check.py FOLDER ROWS.json     (ROWS.json: {split: [row, ...]})"""
import json
import sys

import datasets

loaded = datasets.load_from_disk(sys.argv[1])
want = json.load(open(sys.argv[2], encoding="utf-8"))
assert isinstance(loaded, datasets.DatasetDict) and list(loaded) == list(want), (loaded, list(want))
for split, rows in want.items():
    assert loaded[split].to_list() == rows, f"{split} differs"
    print(split, loaded[split].num_rows, "rows equal;", loaded[split].features, loaded[split]._fingerprint)
