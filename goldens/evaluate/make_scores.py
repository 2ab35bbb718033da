"""Goldens of scoring: lm-evaluation-harness's own HFLM on a tiny model of goldens/models, rows longer than its positions too.

usage: make_scores.py        (writes scores.json)

The tokenizer is one token a printable ASCII character, written here as test/cli/tiny-model.ts writes it; with `bos` its
post-processor puts <s> before a text. Needs lm_eval, torch, transformers.
"""
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import lm_eval
import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

HERE = Path(__file__).parent
MODEL = HERE.parent / "models" / "llama-tied"
NAMED = ["<unk>", "<s>", "</s>"]


def tokenizer(bos):
    characters = [chr(32 + i) for i in range(93)]
    vocab = {token: i for i, token in enumerate(NAMED + characters)}
    added = [{"id": i, "content": c, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False} for i, c in enumerate(NAMED)]
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "pre_tokenizer": None,
            "post_processor": template if bos else None, "decoder": {"type": "Fuse"},
            "model": {"type": "BPE", "vocab": vocab, "merges": [], "unk_token": "<unk>"}}


config = json.loads((MODEL / "config.json").read_text())
longest = config["max_position_embeddings"]
PAIRS = [["Question: 1 + 1?\nAnswer:".replace("\n", " "), " 2"], ["Question: 1 + 1? Answer:", " two"], ["", "alone"], ["ends in blanks  ", "x y"],
         ["x" * (longest - 3), " abc"], ["a long one " * longest, " with a tail"], ["the same " * (longest // 2), " w"], ["short", " y" * (longest // 2 - 2)], ["<s>Question: 1 + 1? Answer:", " 2"]]
out = {"versions": {"lm_eval": lm_eval.__version__, "transformers": transformers.__version__, "torch": torch.__version__}, "longest": longest, "pairs": PAIRS}
for bos in (False, True):
    with tempfile.TemporaryDirectory() as temp:
        for name in os.listdir(MODEL):
            if not name.startswith("golden"):
                shutil.copy(MODEL / name, temp)
        (Path(temp) / "tokenizer.json").write_text(json.dumps(tokenizer(bos)))
        (Path(temp) / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}))
        lm = HFLM(pretrained=temp, device="cpu", dtype="float32", batch_size=1)
        assert lm.max_length == longest, lm.max_length
        requests = [Instance("loglikelihood", {}, tuple(pair), i) for i, pair in enumerate(PAIRS)]
        out["bos" if bos else "plain"] = [[float(ll), bool(greedy)] for ll, greedy in lm.loglikelihood(requests, disable_tqdm=True)]
(HERE / "scores.json").write_text(json.dumps(out) + "\n")
