"""One step each, by assets/launch/train.py, of a LLaMA of 7B with random weights made here: tokens a second, peak memory.

    python bench/gpu/big.py            SIZE=tiny tries the script where there is no GPU; KINDS="tensors overlay" does these alone
Prints a line of JSON for each of what trains. All weights want four float32 tensors of the model's size (about 112 GB).
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig

SIZES = {
    "7b": dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, vocab_size=32000),
    "tiny": dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, vocab_size=256),
}
SIZE = os.environ.get("SIZE", "7b")
TRAINED = 160  # embedding rows of an overlay
ROWS, LENGTH, STEPS = (16, 512, 3) if SIZE == "7b" else (4, 32, 3)
LAUNCH = Path(__file__).resolve().parents[2] / "assets" / "launch"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    torch.manual_seed(0)
    config = LlamaConfig(**SIZES[SIZE], tie_word_embeddings=False)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        torch.set_default_dtype(torch.bfloat16)
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            model = AutoModelForCausalLM.from_config(config)
        torch.set_default_dtype(torch.float32)
        model.save_pretrained(folder)
        names = [name for name, _ in model.named_parameters()]
        layers = [name.removesuffix(".weight") for name in names if name.endswith(("q_proj.weight", "v_proj.weight"))]
        shapes = {name: tuple(model.get_submodule(name).weight.shape) for name in layers}
        del model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        files = {path.name: digest(path) for path in folder.iterdir() if path.suffix == ".safetensors" or path.name in ("config.json", "model.safetensors.index.json")}
        table = "model.embed_tokens.weight"
        kinds = {
            "low-rank": {"kind": "low-rank", "scale": 2.0, "layers": [{"module": n, "a": f"{n}.lora_A", "b": f"{n}.lora_B"} for n in layers]},
            "lookups": {"kind": "lookups", "tensors": {table: table}},
            "overlay": {
                **{"kind": "overlay", "rows": TRAINED, "width": config.hidden_size, "groups": None, "scale": None, "positions": 4 * TRAINED},
                **{"loss": {"focus": 0.9, "kl": 300, "margin": 6, "spread": 4}, "logits": {"scale": None, "softcap": None}},
            },
            "tensors": {"kind": "tensors", "tensors": {name: name for name in names}},
        }
        for kind in os.environ.get("KINDS", " ".join(kinds)).split():
            trains = kinds[kind]
            job = Path(scratch) / kind
            job.mkdir()
            write(job, trains, files, config.vocab_size, shapes)
            began = time.time()
            env = {**os.environ, "MODEL": str(folder), "PYTHON": sys.executable}
            ran = subprocess.run(["sh", str(job / "run.sh")], env=env, capture_output=True, text=True)
            print(json.dumps({"trains": kind, "size": SIZE, "seconds": time.time() - began, **outcome(job, ran)}), flush=True)


def write(job, trains, files, vocabulary, shapes):
    per_step = ROWS * LENGTH
    tokens = torch.randint(vocabulary, (STEPS * per_step,), dtype=torch.int32)
    labels = torch.arange(0, LENGTH - 1, dtype=torch.int32).repeat(STEPS * ROWS)
    count = STEPS * ROWS
    is_overlay = trains["kind"] == "overlay"
    ints = lambda step: (torch.arange(count + 1, dtype=torch.int32) * step).contiguous()
    save_file(
        {
            "tokens": tokens,
            "examples": ints(LENGTH),
            "labels": ints(LENGTH - 1),
            "steps": (torch.arange(STEPS + 1, dtype=torch.int32) * ROWS).contiguous(),
            "label_rows": labels,
            "label_tokens_wanted": tokens.view(-1, LENGTH)[:, 1:].reshape(-1).contiguous(),
            "label_weights": torch.full((len(labels),), 1 / (ROWS * (LENGTH - 1))),
            **(overlay_labels(count, len(labels)) if is_overlay else {}),
        },
        job / "batches.safetensors",
    )
    if is_overlay:
        save_file(overlay(trains["width"]), job / "overlay.safetensors")
    if trains["kind"] == "low-rank":
        start = {}
        for name, (out, width) in shapes.items():
            start[f"{name}.lora_A"], start[f"{name}.lora_B"] = torch.randn(16, width) / width**0.5, torch.zeros(out, 16)
        save_file(start, job / "start.safetensors")
    names = trains.get("tensors") or ["own"] * is_overlay or [layer[which] for layer in trains["layers"] for which in ("a", "b")]
    adam = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "decays": {name: 0 for name in names}, "clip": 1}
    (job / "job.json").write_text(
        json.dumps(
            {
                **{"ranks": 1, "dtype": "bfloat16", "trains": trains, "optimiser": adam, "rates": [1e-5] * STEPS, "keep": []},
                **{"batch_tokens": 8192, "recompute": True, "checkpoint_seconds": 1e9, "model": {"files": files}},
            }
        )
    )
    (job / "launch.env").write_text("MODEL=.\nNPROC=1\nNNODES=1\n")
    for name in ("train.py", "job_files.py", "requirements.txt", "run.sh"):
        (job / name).write_bytes((LAUNCH / name).read_bytes())
    (job / "manifest.json").write_text(json.dumps({"files": {path.name: digest(path) for path in job.iterdir()}}))


def overlay_labels(examples, labels):
    whole = lambda value, count: torch.full((count,), value, dtype=torch.int32)
    return {"befores": whole(0, examples), "variants": whole(1, examples), "label_kinds": whole(0, labels), "label_alternatives": whole(-1, labels)}


def overlay(width):
    """Rows as `rows` trains them, beside the positions of a tied head: its loss is the dearer one."""
    return {
        "ids": torch.arange(TRAINED, dtype=torch.int32),
        "vanilla": 0.02 * torch.randn(TRAINED, width),
        "noise_shares": torch.full((STEPS,), 0.1),
        "noise_seeds": torch.arange(STEPS, dtype=torch.int32),
        "metric": torch.eye(width),
        "ref_hidden": torch.randn(4 * TRAINED, width),
        "ref_probability": torch.full((4 * TRAINED, TRAINED), 1e-6),
        "ref_weight": torch.full((4 * TRAINED,), 1 / (4 * TRAINED)),
    }


def outcome(job, ran):
    result = job / "result" / "result.json"
    if not result.exists():
        return {"failed": (ran.stderr.strip().splitlines() or ["?"])[-1][:300], "told": [p.read_text() for p in (job / "result").glob("failed-*")]}
    said = json.loads(result.read_text())
    lines = [json.loads(line) for line in (job / "result" / "progress.jsonl").read_text().splitlines()]
    at = [line["seconds"] for line in lines if line["kind"] == "step"]
    return {
        "tokens_a_second": ROWS * LENGTH / (at[-1] - at[-2]),
        **{key: said.get(key) for key in ("losses", "peak_bytes", "device", "torch")},
    }


if __name__ == "__main__":
    main()
