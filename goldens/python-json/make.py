"""What CPython's json makes of texts that other readers refuse or read otherwise, and of rows whose columns differ what
`datasets` makes. Run: python goldens/python-json/make.py   (datasets)
"""
import json
import math
import platform
import tempfile
from pathlib import Path

import datasets

TEXTS = [
    "NaN", "-NaN", "Infinity", "-Infinity", "[NaN, Infinity, -Infinity]", '{"a": NaN, "b": [Infinity]}', "nan", "NAN", "+Infinity",
    "Infinity0", "[NaN,]", "[1,2 NaN]", '"NaN"', '{"NaN": 1}', "{NaN: 1}", '["a NaN b", NaN]',
    "12345678901234567890", "-12345678901234567890", "9007199254740993", "[9007199254740992, 9007199254740991]",
    "0123456789012345678", "-0", "[-0, 1234567890123456789]", "1234567890123456789.5", "1e400", "-1e400", "1234567890123456e3",
    "0.12345678901234567890", "1." + "0" * 16, ".1234567890123456", "1234567890123456.", "- 1234567890123456",
    '{"a": 1, "a": 2}', '{"a": 1, "b": 0, "a": 12345678901234567890}', '{"__proto__": NaN}', '{"__proto__": {"x": NaN}}',
    '"\\ud800"', '["\\ud83d\\ude00", "\\ude00", NaN]', '["\\u12", NaN]', '["\\x", NaN]', '["a\tb", NaN]', '["a\nb", NaN]',
    '["\u007f\u0085\u2028", NaN]', '["a\\"NaN\\\\", NaN]', "[1, 2] NaN", "", "[NaN", '{"a" NaN}', '{"a": NaN, }', "[NaN]]", "[]\u00a0",
    " \t\r\n[ NaN , true , false , null ] \n", "{}", '{ "a" : { } , "b" : [ ] , "c" : NaN }', "tru", '["unterminated NaN',
    "'NaN'", "[NaN /* no */]", "\ufeff[NaN]",
]


def tagged(value):
    if isinstance(value, bool) or value is None:
        return {"k": value}
    if isinstance(value, int):
        return {"i": str(value)}
    if isinstance(value, float):
        return {"f": "NaN" if math.isnan(value) else ("-" if value < 0 else "") + "Infinity" if math.isinf(value) else repr(value)}
    if isinstance(value, str):
        return {"s": [int.from_bytes(value.encode("utf-16-be", "surrogatepass")[i : i + 2], "big") for i in range(0, 2 * len(value.encode("utf-16-be", "surrogatepass")) // 2, 2)]}
    if isinstance(value, list):
        return {"l": [tagged(x) for x in value]}
    return {"o": [[k, tagged(v)] for k, v in value.items()]}


def read(text):
    try:
        return {"value": tagged(json.loads(text))}
    except ValueError:
        return {"error": True}


ROWS = {
    "later input": [{"instruction": "a", "output": "b"}, {"instruction": "c", "input": "d", "output": "e"}],
    "input at first": [{"instruction": "c", "input": "d", "output": "e"}, {"instruction": "a", "output": "b"}],
    "null": [{"instruction": "a", "input": None, "output": "b"}, {"instruction": "a", "input": "x", "output": None}],
    "no output": [{"instruction": "a", "output": "b"}, {"instruction": "c", "input": "x"}, {"output": "d"}, {"other": "x"}],
}


def union(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return list(datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=folder))


golden = {
    "made_by": {"python": platform.python_version(), "datasets": datasets.__version__},
    "texts": [{"text": text, **read(text)} for text in TEXTS],
    "rows": {name: {"given": rows, "read": union(rows)} for name, rows in ROWS.items()},
}
Path(__file__).with_name("golden.json").write_text(json.dumps(golden, indent=1) + "\n")
