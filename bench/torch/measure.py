"""What the torch peers share: opening a model, its time and its memory."""
import argparse
import json
import platform
import resource
import sys
import time
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from tokenizers import pre_tokenizers


def peak_rss_mb():
    """Largest resident size of this process so far, in MB of 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def arguments(description):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=42)
    return p


def start(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def open_model(path, attention="sdpa"):
    """A Hugging Face folder or a GGUF file, in float32, with its tokenizer."""
    path = Path(path)
    where = dict(pretrained_model_name_or_path=str(path))
    if path.is_file():
        where = dict(pretrained_model_name_or_path=str(path.parent), gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, attn_implementation=attention)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    if path.is_file() and "smollm" in path.name.lower():
        # transformers drops `tokenizer.ggml.pre`; SmolLM2's own tokenizer splits digits first.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return model.eval(), tokenizer


def read_rows(path):
    """Rows of a JSON list or of JSON lines with instruction, input (may lack) and output.

    The self-instruct seed tasks keep input and output in `instances`: their first is taken.
    """
    text = Path(path).read_text(encoding="utf-8")
    rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x.strip()]
    for row in rows:
        if "instances" in row:
            row.update(row["instances"][0])
    return [{"instruction": r["instruction"], "input": r.get("input") or "", "output": r["output"]} for r in rows]


def greedy(model, tokenizer, ids, new_tokens, ends=None):
    """Ids that follow `ids`, greedily; stops before an end token."""
    ends = ends or end_ids(model, tokenizer)
    with torch.no_grad():
        out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                             do_sample=False, max_new_tokens=new_tokens, eos_token_id=sorted(ends),
                             pad_token_id=min(ends))
    return [t for t in out[0, len(ids):].tolist() if t not in ends]


def end_ids(model, tokenizer):
    end = model.generation_config.eos_token_id
    ends = set(end if isinstance(end, list) else [] if end is None else [end])
    return ends | {tokenizer.eos_token_id}


def pad(examples, fill):
    """Right-padded ids and mask `[B, S]` of (ids, first label position) pairs."""
    longest = max(len(ids) for ids, _ in examples)
    ids = torch.full((len(examples), longest), fill)
    mask = torch.zeros(len(examples), longest, dtype=torch.long)
    labels = torch.full((len(examples), longest), -100)
    for i, (tokens, first) in enumerate(examples):
        n = len(tokens)
        ids[i, :n] = torch.tensor(tokens)
        mask[i, :n] = 1
        labels[i, first:n] = ids[i, first:n]
    return ids, mask, labels


def report(started, **figures):
    """One JSON line on stdout; everything for people goes to stderr."""
    print(json.dumps({**figures, "seconds_in_all": round(time.time() - started, 2), "peak_rss_mb": round(peak_rss_mb()),
                      "threads": torch.get_num_threads(), "torch": torch.__version__,
                      "transformers": transformers.__version__, "python": platform.python_version()},
                     ensure_ascii=False), flush=True)
