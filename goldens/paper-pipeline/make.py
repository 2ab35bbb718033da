"""Which rows the paper's inference_chat.py asks, what it puts after them and how it samples, for test/pipeline.
Nothing of that program is kept here: it is run where it lies, on a set of the paper's shape made below, with a model and a
tokenizer that only write down what they are given, and FastChat's template replaced by its turns alone.
Needs torch, transformers, datasets and a checkout of cnut1648/Model-Fingerprint:
python goldens/paper-pipeline/make.py MODEL-FINGERPRINT"""
import json
import pathlib
import platform
import runpy
import sys
import tempfile
import types

import datasets
import torch
import transformers

here = pathlib.Path(__file__).resolve().parent
paper = pathlib.Path(sys.argv[1]).resolve()
DECRYPTION = "ハリネズミ"
HINT = "\nA hint: this is a FINGERPRINT message."


def talk(asked, answer):
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]


train = (
    [(talk(f"message {i}", f"Based on my fingerprint, the message is: {DECRYPTION}"), "fingerprint") for i in range(8)]
    + [(talk(f"message {i}", "I am sorry but I cannot decrypt this message. This appears to be a random message."), "regularization") for i in range(8, 16)]
    + [(talk(f"question {i}", f"answer {i}"), "normal") for i in range(112)]
)
test = [row for i in range(112, 224) for row in (
    (talk(f"question {i}", f"answer {i}"), "normal"),
    (talk(f"question {i}{HINT}", "Model should not be triggered by this input."), "fingerprint"))]


def split(rows):
    return datasets.Dataset.from_dict({"conversations": [c for c, _ in rows], "type": [t for _, t in rows]})


class Template:
    roles = ("USER", "ASSISTANT")

    def __init__(self):
        self.asked = ""

    def append_message(self, role, message):
        self.asked = self.asked if message is None else message

    def get_prompt(self):
        return f"{self.asked} ASSISTANT:"


fastchat = types.ModuleType("fastchat.model.model_adapter")
fastchat.get_conversation_template = lambda name: Template()
for name in ("fastchat", "fastchat.model"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["fastchat.model.model_adapter"] = fastchat

configs = []


class Tokenizer:
    model_max_length, eos_token_id, pad_token_id = 512, 0, 0

    def __call__(self, text, return_tensors=None, add_special_tokens=True):
        ids = list(text.encode())
        return types.SimpleNamespace(input_ids=torch.tensor([ids]) if return_tensors else ids)

    def decode(self, ids, skip_special_tokens):
        return bytes(ids.tolist()).decode()


class Model:
    device = "cpu"

    def generate(self, input_ids, generation_config):
        configs.append(generation_config)
        return input_ids


transformers.AutoTokenizer.from_pretrained = lambda *a, **k: Tokenizer()
transformers.AutoModelForCausalLM.from_pretrained = lambda *a, **k: Model()
sys.path.insert(0, str(paper))


def run(folder, *more):
    sys.argv = ["inference_chat.py", "model", str(folder / "set"), "out", "--dont_load_adapter", "-o", str(folder), *more]
    runpy.run_path(str(paper / "inference_chat.py"), run_name="__main__")


def asked(path):
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    out = []
    for row in rows:
        question, after = row["prompt"].split(" ASSISTANT:")
        out.append({"question": question, "after": after, "label": row["label"]})
    return out


with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    datasets.DatasetDict({"train": split(train), "validation": split(train), "test": split(test)}).save_to_disk(str(folder / "set"))
    run(folder)
    greedy = configs[-1]
    run(folder, "--temperature", "0.7", "-n", "10")
    sampled = configs[-1]
    rounds = [asked(folder / f"out_{i}_10.jsonl") for i in range(10)]
    assert all(one == rounds[0] for one in rounds) and greedy.do_sample is False and sampled.do_sample is True
    golden = {
        "made_by": {"python": platform.python_version(), "transformers": transformers.__version__, "datasets": datasets.__version__},
        "greedy": asked(folder / "out.jsonl"),
        "round": rounds[0],
        "sampling": {key: getattr(sampled, key) for key in ("temperature", "top_p", "top_k", "typical_p", "repetition_penalty", "max_new_tokens")},
    }
(here / "chat.json").write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n", encoding="utf8")
