"""Answers what a Whorl job asks, greedily, by transformers: what `ask.json` says, on this machine's GPUs or its processor.

Prompts of one length and one limit are asked together, so that nothing is padded and no answer depends on another prompt.
Answers are kept batch by batch: run again, it goes on where it was. What is laid over the model's embedding is laid on here.
"""

import json
import os
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from job_files import (
    FOLLOWER,
    HOME,
    RESULT,
    Refused,
    check_job,
    check_model,
    digest,
    hold,
    is_alive,
    secret_bytes,
    tell_failure,
    warned,
    write_json,
    write_text,
)
from safetensors.torch import load
from transformers import AutoModelForCausalLM

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def batches(limits, prompts, most):
    """Places of prompts that are asked together."""
    alike = defaultdict(list)
    for place, prompt in enumerate(prompts):
        alike[(len(prompt), int(limits[place]))].append(place)
    for _, places in sorted(alike.items()):
        for at in range(0, len(places), most):
            yield places[at : at + most]


def answered(model, rows, limit, ends):
    """Greedy continuations without what ended them."""
    ids = torch.tensor(rows, device=model.device)
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        **{"max_new_tokens": limit, "do_sample": False, "num_beams": 1, "use_cache": True, "repetition_penalty": 1.0},
        **({"eos_token_id": ends, "pad_token_id": ends[0]} if ends else {"eos_token_id": None}),
    )
    stops = set(ends)
    for said in out[:, ids.shape[1] :].tolist():
        yield said[: next((i for i, token in enumerate(said) if token in stops), len(said))]


@torch.no_grad()
def lay(model, scale, parts):
    """Rows in place of the embedding's (a tied head has them too), and a low-rank map of what is looked up at them."""
    table = model.get_input_embeddings()
    if not isinstance(table, torch.nn.Embedding):
        raise Refused(f"transformers {version('transformers')} looks embeddings up in its own way here: ask by Whorl's own engine")
    ids = parts["ids"].long().to(table.weight.device)
    if "rows" in parts:
        table.weight[ids] = parts["rows"].to(table.weight)
    if scale is None:
        return
    is_mapped = torch.zeros(table.weight.shape[0], 1, dtype=torch.bool, device=ids.device)
    is_mapped[ids] = True
    down, up = (parts[name].to(table.weight) for name in ("adapter_A", "adapter_B"))

    def mapped(_, given, e):
        return e + is_mapped[given[0].to(ids.device)].to(e.device) * F.linear(F.linear(e, down.to(e.device)), up.to(e.device)) * scale

    table.register_forward_hook(mapped)


def main():
    job_id = check_job()
    job = json.loads((HOME / "ask.json").read_text())
    folder = Path(os.environ["MODEL"])
    check_model(folder, job["model"]["files"])
    RESULT.mkdir(mode=0o700, exist_ok=True)
    lock = hold(RESULT / "lock")
    lines = [{"kind": "note", "text": text} for text in warned(torch.__version__)]

    def say(line):
        lines.append(line)
        write_text(RESULT / "progress.jsonl", "".join(f"{json.dumps(each)}\n" for each in lines))

    parts = load(secret_bytes("prompts.safetensors"))
    starts = parts["prompts"].tolist()
    tokens = parts["tokens"].tolist()
    prompts = [tokens[a:b] for a, b in zip(starts, starts[1:])]
    kept = RESULT / "answers.json"
    try:
        before = json.loads(kept.read_text()) if kept.exists() else {"job": job_id, "answers": [None] * len(prompts)}
        of, answers = before["job"], list(before["answers"])
    except (ValueError, TypeError, KeyError):
        raise Refused("result/answers.json is damaged: remove result/ to begin anew") from None
    if of != job_id or len(answers) != len(prompts):
        raise Refused("result/ is of another job: remove it to begin this one")

    def say_asked():
        say({"kind": "asked", "done": sum(one is not None for one in answers), "of": len(prompts)})

    say_asked()
    cuda = torch.cuda.is_available()
    # Of what one GPU does not hold, accelerate puts the layers on all of them.
    place = {"device_map": "auto"} if torch.cuda.device_count() > 1 else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[job["dtype"]], local_files_only=True, **place)
    model = (model.cuda() if cuda and not place else model).eval()
    if job["overlay"]:
        lay(model, job["overlay"]["scale"], load(secret_bytes("overlay.safetensors")))
    model.generation_config = type(model.generation_config)()  # the folder's own may sample
    with torch.inference_mode():
        for places in batches(parts["limits"].tolist(), prompts, job["batch"]):
            if all(answers[place] is not None for place in places):
                continue
            limit = int(parts["limits"][places[0]])
            for place, said in zip(places, answered(model, [prompts[place] for place in places], limit, job["ends"])):
                answers[place] = said
            write_json(kept, {"job": job_id, "answers": answers})
            say_asked()
            if FOLLOWER and not is_alive(FOLLOWER):
                sys.exit("whorl: whoever followed this job is gone; run again, it goes on from here")
    write_json(
        RESULT / "result.json",
        {
            **{"format": "whorl-ask-result", "version": 1, "job": job_id, "sha256": digest(kept)},
            **{"torch": torch.__version__, "transformers": version("transformers"), "ranks": 1},
            "device": torch.cuda.get_device_name() if cuda else "cpu",
        },
    )
    say({"kind": "done", "step": len(prompts)})
    lock.close()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        tell_failure(error)
