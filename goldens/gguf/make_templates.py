"""Chat templates by name as gguf-py writes them. Run: python goldens/gguf/make_templates.py   (gguf)"""
import json
from importlib.metadata import version
from pathlib import Path

from gguf import GGUFWriter

CASES = {
    "one": "{{ a }}",
    "several": [{"name": "default", "template": "{{ a }}"}, {"name": "tool_use", "template": "{{ b }}"}, {"name": "rag", "template": "{{ c }}"}],
    "odd names": [{"name": "default", "template": "{{ a }}"}, {"name": "tool-use 2", "template": "{{ b }}"}],
    "no default": [{"name": "rag", "template": "{{ c }}"}],
}
out = {"made_by": "goldens/gguf/make_templates.py", "versions": {"gguf": version("gguf")}, "cases": {}}
for name, templates in CASES.items():
    writer = GGUFWriter(None, "llama")
    writer.add_chat_template(templates)
    keys = {k: v.value for k, v in writer.kv_data[0].items() if k.startswith("tokenizer.")}
    for key, value in keys.items():
        keys[key] = sorted(value) if isinstance(value, list) else value
    out["cases"][name] = {"templates": templates, "keys": keys}
Path(__file__).with_name("templates.json").write_text(json.dumps(out, indent=1) + "\n")
