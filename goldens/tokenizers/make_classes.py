"""Ids under classes that contradict tokenizer.json, by whichever transformers runs this: once with version 4, once with 5.

Run: python goldens/tokenizers/make_classes.py   (transformers and tokenizers alone; one environment with 4.57, one with 5.24)
Adds to classes.json, by version: for each tokenizer.json of `kinds/` and changes of it (`changes`), class and settings, what
`AutoTokenizer` makes of TEXTS; null where it opens nothing. Ids that are the file's own (`own`) stand as "file".
"""
import json
import tempfile
from pathlib import Path

import transformers
from tokenizers import Tokenizer
from transformers import AutoTokenizer

HERE = Path(__file__).parent
TEXTS = ["Hello world", " leading", "a  b\n\nc", "it's 12345 don't", "<s>x</s> y", "naïve é 日本", "foo_bar();\n\treturn 1"]


def byte_level(prefixed):
    return {"type": "ByteLevel", "add_prefix_space": prefixed, "trim_offsets": True, "use_regex": True}


CHANGES = {
    "byte-level": ("byte-level", {}),
    "byte-level-alone": ("byte-level", {"pre_tokenizer": byte_level(False), "post_processor": None}),
    "byte-level-prefixed": ("byte-level", {"pre_tokenizer": byte_level(True), "post_processor": None}),
    "digits": ("byte-level", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(False)]}, "post_processor": None}),
    "fallback": ("byte-fallback-first", {}),
    "fallback-bare": ("byte-fallback-first", {"post_processor": None}),
    "fallback-prepended": ("byte-fallback-first", {"pre_tokenizer": None, "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}}),
}
CLASSES = ["PreTrainedTokenizerFast", "GPT2Tokenizer", "GPTNeoXTokenizerFast", "Qwen2Tokenizer", "LlamaTokenizer", "LlamaTokenizerFast", "CohereTokenizerFast", "GemmaTokenizerFast"]
SETTINGS = [{}, {"add_prefix_space": True}, {"add_bos_token": False}, {"add_eos_token": True}]


def main():
    transformers.logging.set_verbosity(50)
    path = HERE / "classes.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    versions = before.get("versions", {})
    out = {"made_by": "goldens/tokenizers/make_classes.py", "texts": TEXTS, "changes": CHANGES, "own": {}, "versions": versions}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, (kind, change) in CHANGES.items():
            whole = {**json.loads((HERE / "kinds" / kind / "tokenizer.json").read_text()), **change}
            names = json.loads((HERE / "kinds" / kind / "tokenizer_config.json").read_text())
            names = {k: v for k, v in names.items() if k in ("bos_token", "eos_token", "unk_token", "pad_token")}
            (folder / "tokenizer.json").write_text(json.dumps(whole))
            (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
            own = Tokenizer.from_file(str(folder / "tokenizer.json"))
            own.no_truncation()
            out["own"][name] = [own.encode(text).ids for text in TEXTS]
            for of in CLASSES:
                for settings in SETTINGS:
                    (folder / "tokenizer_config.json").write_text(json.dumps({**names, "tokenizer_class": of, **settings}))
                    try:
                        tokenizer = AutoTokenizer.from_pretrained(folder)
                        ids = [tokenizer(text)["input_ids"] for text in TEXTS]
                    except Exception:
                        ids = None
                    rows.append({"file": name, "class": of, "settings": settings, "ids": "file" if ids == out["own"][name] else ids})
    versions[transformers.__version__.split(".")[0]] = {"transformers": transformers.__version__, "rows": rows}
    path.write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
