"""Configs of which some values are changed, as CPython's json writes them before and after.

Run: python goldens/python-json/make_changed.py
Writes changed.json: {made_by, cases: {name: {before, changes, after}}}, before and after the texts of json.dumps(indent=2).
"""
import json
import platform
from pathlib import Path

HERE = Path(__file__).parent
NESTED = {"model_type": "gemma3", "text_config": {"rope_theta": 1000000.0, "vocab_size": 96, "limit": float("inf")}, "nan": float("nan")}
CASES = {
    "a number": ({"a": 1, "vocab_size": 96, "eps": 1e-06, "b": 2}, {"vocab_size": 97}),
    "beside what JavaScript's JSON has no word for": (
        {"time_step_limit": [0.0, float("inf")], "low": float("-inf"), "x": float("nan"), "vocab_size": 96}, {"vocab_size": 97}),
    "beside floats that are whole, and long integers": (
        {"rope_theta": 10000.0, "factor": 30.0, "seed": 12345678901234567890123, "vocab_size": 96}, {"vocab_size": 100, "x": True}),
    "beside texts that look like ends": ({"a": "}\"\\,", "b": {"}": "{"}, "é": "\u2028"}, {"tie_word_embeddings": False}),
    "a key that was not there": ({"a": 1.0}, {"tie_word_embeddings": False, "vocab_size": 97}),
    "several, in another order": ({"a": 1, "b": 2.0, "c": None, "d": [1]}, {"d": 4, "c": 1, "a": False}),
    "within an object": (NESTED, {"tie_word_embeddings": False,
                                  "text_config": {"rope_theta": 1000000, "vocab_size": 100, "tie_word_embeddings": False}}),
    "a number in place of null": ({"a": None, "b": 1}, {"a": 2}),
    "of an empty one": ({"a": {"b": []}, "c": {}}, {"a": {"b": []}}),
}


def changed(before, changes):
    after = dict(before)
    for key, value in changes.items():
        old = before.get(key)
        after[key] = changed(old, value) if isinstance(old, dict) and isinstance(value, dict) else old if old == value else value
    return after


cases = {}
for name, (before, changes) in CASES.items():
    cases[name] = {"before": json.dumps(before, indent=2), "changes": changes, "after": json.dumps(changed(before, changes), indent=2)}
(HERE / "changed.json").write_text(json.dumps({"made_by": f"CPython {platform.python_version()}", "cases": cases}, indent=1) + "\n")
