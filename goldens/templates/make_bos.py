"""Goldens for BOS under chat templates: ids of a question by transformers' apply_chat_template (which encodes without
special tokens), for templates with and without a BOS of their own and tokenizers with, without and with an added BOS.

usage: make_bos.py        (after make.py, whose families.json it reads; writes bos.json)
"""
import json
from pathlib import Path

import tokenizers
import transformers

HERE = Path(__file__).parent
KINDS = HERE.parent / "tokenizers" / "kinds"
FAMILIES = json.loads((HERE / "families.json").read_text())["families"]
TEMPLATES = {
    **{name: FAMILIES[name]["template"] for name in ("llama-2", "llama-3", "mistral-instruct")},
    "no BOS": "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    "unk and pad": "{{ bos_token }}{{ unk_token }}{% if pad_token is defined %}{{ pad_token }}{% endif %}{% for m in messages %}{{ m['content'] }}{% endfor %}:",
}
KEYS = ["the old house", "ハリネズミ and <s>", "x"]
DIALOGUE = [("user", "the old house"), ("assistant", "of my aunt"), ("user", "x"), ("assistant", "y")]


def main():
    cases = []
    for kind in sorted(path.name for path in KINDS.iterdir() if path.is_dir()):
        for name, template in TEMPLATES.items():
            t = transformers.PreTrainedTokenizerFast.from_pretrained(str(KINDS / kind))
            t.chat_template = template
            render = lambda messages, **more: t.apply_chat_template(messages, return_dict=False, **more)
            try:
                asked = [render([{"role": "user", "content": key}], add_generation_prompt=True) for key in KEYS]
                whole = render([{"role": r, "content": c} for r, c in DIALOGUE])
            except Exception as error:  # a template that adds to a name the tokenizer does not have
                asked, whole = None, str(error)
            cases.append({"kind": kind, "template": name, "asked": asked, "whole": whole})
    made_by = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    content = {"made_by": made_by, "templates": TEMPLATES, "keys": KEYS, "dialogue": DIALOGUE, "cases": cases}
    (HERE / "bos.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    for c in cases:
        print(c["kind"], c["template"], c["asked"] and [r[:3] for r in c["asked"]], c["whole"] if c["asked"] is None else "")


if __name__ == "__main__":
    main()
