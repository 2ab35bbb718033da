"""Goldens for templates as editors on Windows save them, and for named ones as an object: what transformers takes out of the files
of a tokenizer and what it renders.

usage: make_newlines.py        (after make.py, whose families.json it reads; writes newlines.json)
"""
import json
import tempfile
from pathlib import Path

import jinja2
import transformers

HERE = Path(__file__).parent
KIND = HERE.parent / "tokenizers" / "kinds"
FAMILIES = json.loads((HERE / "families.json").read_text())["families"]
TEMPLATE = FAMILIES["llama-2"]["template"] if "\n" in FAMILIES["llama-2"]["template"] else (
    "{% for m in messages %}\n{% if m['role'] == 'user' %}\nU: {{ m['content'] + 'a\nb' }}\n{% endif %}\n{% endfor %}\nA:\n")
CASES = {
    "a file with CRLF": {"chat_template.jinja": TEMPLATE.replace("\n", "\r\n")},
    "a file with CR": {"chat_template.jinja": TEMPLATE.replace("\n", "\r")},
    "the config with CRLF": {"tokenizer_config.json": {"chat_template": TEMPLATE.replace("\n", "\r\n")}},
    "named ones as an object": {"tokenizer_config.json": {"chat_template": {"default": TEMPLATE, "rag": "R"}}},
    "a file of another name with CRLF": {"chat_template.jinja": TEMPLATE, "additional_chat_templates/rag.jinja": "R\r\n{{ 1 }}\r"},
}
MESSAGES = [{"role": "user", "content": "the old\nhouse"}]
source = sorted(path for path in KIND.iterdir() if path.is_dir())[0]
cases = []
for name, files in CASES.items():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
        (folder / "tokenizer_config.json").write_text("{}")
        for path, content in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
        t = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
        templates = t.chat_template if isinstance(t.chat_template, dict) else {"default": t.chat_template}
        rendered = {n: t.apply_chat_template(MESSAGES, chat_template=s, tokenize=False) for n, s in templates.items()}
        cases.append({"name": name, "files": files, "templates": templates, "rendered": rendered})
made_by = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}
(HERE / "newlines.json").write_text(
    json.dumps({"made_by": made_by, "kind": source.name, "messages": MESSAGES, "cases": cases}, indent=1) + "\n")
