"""Goldens of chat templates by name: folders of a tokenizer with several templates as transformers saves and opens them, and
lm-evaluation-harness's requests under each.

usage: make_named.py        (writes named.json)

`harness`: what the harness of this version asks. It looks a name up and writes that template into its results, but renders with the
default one whatever the name. `named`: the same requests, rendered by transformers under the template of that name. Needs what
make.py needs.
"""
import json
import tempfile
from pathlib import Path

import make
from make import FakeChat, HERE, TEMPLATES
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

TASKS = ["piqa"]
ALL = {"default": TEMPLATES["chatml"], "rag": TEMPLATES["no_system"], "tool_use": "[TOOLS]" + TEMPLATES["chatml"]}
FILES = ["tokenizer_config.json", "chat_template.jinja", "additional_chat_templates/rag.jinja", "additional_chat_templates/tool_use.jinja"]


def listed(templates):
    return [{"name": name, "template": template} for name, template in templates.items()]


def saved(templates):
    """Files of a tokenizer with them, as transformers writes them today."""
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0}, unk_token="<s>")), bos_token="<s>", chat_template=templates)
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        return {name: (Path(folder) / name).read_text() for name in FILES if (Path(folder) / name).exists()}


def opened(files):
    """By transformers, from these files beside a tokenizer.json."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "additional_chat_templates").mkdir()
        Tokenizer(models.WordLevel({"<s>": 0}, unk_token="<s>")).save(f"{folder}/tokenizer.json")
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        return PreTrainedTokenizerFast.from_pretrained(folder)


class Named(FakeChat):
    def __init__(self, tokenizer, name):
        super().__init__(TEMPLATES["chatml"])
        self.tokenizer = tokenizer
        if name is not None:
            self.chat_template_args = {"chat_template": name}

    def chat_template(self, name=False):
        from lm_eval.api.model import TemplateLM
        return TemplateLM.chat_template(self, name)


def asked(manager, model, name, system):
    out = make.lm_eval.simple_evaluate(model, tasks=TASKS, num_fewshot=1, bootstrap_iters=0, task_manager=manager, log_samples=True,
                                       apply_chat_template=name or True, system_instruction=system, fewshot_as_multiturn=True)
    found = {}
    for task, samples in out["samples"].items():
        first = samples[0]["filter"]
        found[task] = [[[a[0], a[1] if isinstance(a[1], str) else ""] for a in s["arguments"]] for s in samples if s["filter"] == first][:2]
    return found


def refusal(tokenizer, name):
    try:
        Named(tokenizer, None).chat_template(name or True)
    except ValueError as error:
        return str(error)
    return None


def main():
    manager = make.TaskManager()
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}
    folders = {
        "saved": saved(ALL),
        "listed": {"tokenizer_config.json": json.dumps({**config, "chat_template": listed(ALL)})},
        "no default": {"tokenizer_config.json": json.dumps({**config, "chat_template": listed({k: v for k, v in ALL.items() if k != "default"})})},
        "files over config": {"tokenizer_config.json": json.dumps({**config, "chat_template": "of the config"}), "additional_chat_templates/rag.jinja": ALL["rag"]},
        "one": {"tokenizer_config.json": json.dumps({**config, "chat_template": ALL["rag"]})},
    }
    cases = []
    for folder, files in folders.items():
        tokenizer = opened(files)
        templates = tokenizer.chat_template
        names = templates if isinstance(templates, dict) else {"default": templates}
        case = {"folder": folder, "files": files, "templates": names, "refused": {name or "": refusal(tokenizer, name) for name in (None, "tool_usee")}, "named": {}, "harness": {}}
        for name in [None, *names] if folder == "saved" else []:
            case["named"][name or ""] = asked(manager, Named(tokenizer, name), name, "Be brief.")
            case["harness"][name or ""] = asked(manager, Named(tokenizer, None), name, "Be brief.")
        cases.append(case)
    versions = {"lm_eval": make.lm_eval.__version__, "transformers": make.transformers.__version__}
    (HERE / "named.json").write_text(json.dumps({"versions": versions, "cases": cases}, ensure_ascii=False) + "\n")


main()
