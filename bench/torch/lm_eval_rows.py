"""The peer of evaluate.ts: lm-evaluation-harness's HFLM over local rows of a task, float32 on the CPU.

    python lm_eval_rows.py MODEL_FOLDER DATA_FOLDER TASK SHOTS BATCH THREADS      (DATA_FOLDER: SPLIT.jsonl)

Prints one JSON line: peak RSS, tokens that went through the layers (padding counts), acc, acc_norm.
"""
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import datasets  # noqa: E402
import torch  # noqa: E402
from measure import peak_rss_mb  # noqa: E402

model, data, task, shots, batch, threads = sys.argv[1:7]
torch.set_num_threads(int(threads))
rows = {p.stem: [json.loads(line) for line in p.read_text().splitlines()] for p in Path(data).glob("*.jsonl")}
datasets.load_dataset = lambda *_, **__: datasets.DatasetDict({s: datasets.Dataset.from_list(r) for s, r in rows.items()})

import lm_eval  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402

lm = HFLM(pretrained=model, device="cpu", dtype="float32", batch_size=int(batch))
tokens = 0


def counted(_, args, kwargs):
    global tokens
    ids = args[0] if args else kwargs["input_ids"]
    tokens += ids.numel()


lm.model.register_forward_pre_hook(counted, with_kwargs=True)
figures = lm_eval.simple_evaluate(lm, tasks=[task], num_fewshot=int(shots), bootstrap_iters=0)["results"][task]
print(json.dumps({"peak_rss_mb": peak_rss_mb(), "tokens": tokens, "acc": figures["acc,none"], "acc_norm": figures["acc_norm,none"], "lm_eval": lm_eval.__version__}))
