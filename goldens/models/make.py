"""Tiny random LLaMA models with what transformers says about them.

Run: python goldens/models/make.py [name ...]   (torch, transformers, safetensors)
Each folder holds a model as transformers saves it, golden.json and golden.safetensors.
"""
import json
import shutil
import sys
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
IGNORE = -100
NEW_TOKENS = 12

# Each variant says only what differs from the base.
# `gradients`: whether golden.safetensors holds them; `old_config`: config.json as transformers 4
# wrote it (rope_theta and torch_dtype at the top level), as most published folders have it.
BASE = dict(kv=4, tie=False, dtype=torch.float32, seed=1, shard=None, theta=50000.0, gradients=True,
            old_config=False, vocab=96, hidden=32, head=8, positions=128, attention_bias=False, mlp_bias=False,
            rope={"rope_type": "default"})
# The options of the family are tried on smaller models, to keep the files small.
SMALL = dict(vocab=48, hidden=16, kv=2, theta=10000.0)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 128}
VARIANTS = {
    "llama-tied": dict(tie=True, seed=11),
    "llama-untied": dict(seed=12, theta=1000.0),
    "llama-gqa": dict(kv=2, seed=13),
    "llama-gqa-tied-bf16": dict(kv=1, tie=True, dtype=torch.bfloat16, seed=14),
    "llama-gqa-f16": dict(kv=2, dtype=torch.float16, seed=15, gradients=False, old_config=True),
    "llama-sharded": dict(kv=2, seed=16, shard="32KB", gradients=False, old_config=True),
    "llama-bias": dict(SMALL, seed=17, attention_bias=True, mlp_bias=True),
    "llama-attention-bias-mqa-tied-bf16": dict(SMALL, seed=18, kv=1, tie=True, dtype=torch.bfloat16, attention_bias=True),
    "llama-mlp-bias-mha": dict(SMALL, seed=19, kv=4, mlp_bias=True),
    "llama-head-dim": dict(SMALL, seed=20, head=16, tie=True),
    "llama-head-dim-12": dict(SMALL, seed=28, head=12),  # no multiple of 8, as OpenLLaMA-3B's 100
    "llama-linear": dict(SMALL, seed=21, rope={"rope_type": "linear", "factor": 4.0}),
    "llama-linear-old": dict(SMALL, seed=22, tie=True, rope={"rope_type": "linear", "factor": 2.5}, old_config=True),
    "llama-llama3": dict(SMALL, seed=23, positions=512, rope=LLAMA3),
    "llama-llama3-old-bias": dict(SMALL, seed=24, positions=512, head=16, theta=100.0, tie=True, attention_bias=True,
                                  rope={**LLAMA3, "factor": 32.0}, old_config=True),
    # 8 positions at first: one prompt is of that length, one longer, one shorter until it has been continued.
    "llama-dynamic": dict(SMALL, seed=27, positions=8, rope={"rope_type": "dynamic", "factor": 2.0}),
    "llama-dynamic-old-mqa": dict(SMALL, seed=26, kv=1, head=4, tie=True, positions=8,
                                  rope={"rope_type": "dynamic", "factor": 4.0}, old_config=True),
}

# Which config.json spells the kind of scaling how, where the old spelling is wanted.
OLD_KEY = {"linear": "type", "dynamic": "type", "llama3": "rope_type"}

# Sequences of different lengths, given apart and never padded. The second one repeats
# tokens, so that gradients of embedding rows must be summed over repeated indices.
BATCH = [
    [1, 5, 9, 40, 77, 95, 12, 3],
    [2, 8, 8, 8, 31, 8, 2, 60, 60, 14, 8, 90, 7],
    [64, 0, 33],
]
# Rows whose logits are scored (position of the *input* token) and the token expected next;
# some expected tokens are not the sequence's own next token, on purpose.
LABELS = [
    [[3, 77], [4, 95], [5, 12], [7, 50]],
    [[0, 8], [6, 60], [10, 90], [12, 1]],
    [[1, 33], [2, 17]],
]


def build(variant):
    v = {**BASE, **variant}
    torch.manual_seed(v["seed"])
    config = LlamaConfig(
        vocab_size=v["vocab"], hidden_size=v["hidden"], intermediate_size=2 * v["hidden"], num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=v["kv"], head_dim=v["head"],
        max_position_embeddings=v["positions"], rms_norm_eps=1e-5,
        rope_parameters={**v["rope"], "rope_theta": v["theta"]}, tie_word_embeddings=v["tie"], initializer_range=0.02,
        bos_token_id=1, eos_token_id=2, pad_token_id=None,
        attention_bias=v["attention_bias"], mlp_bias=v["mlp_bias"],
    )
    model = LlamaForCausalLM(config)
    # transformers' small start makes nearly flat logits and norm weights of exactly one;
    # wider values make a wrong scale, sign or axis show.
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("norm.weight"):
                p.copy_(1 + 0.3 * torch.randn_like(p))
            elif "embed_tokens" in name or "lm_head" in name:
                p.copy_(0.5 * torch.randn_like(p))
            else:
                p.copy_(0.25 * torch.randn_like(p))
    return model.to(v["dtype"]), v


def write_old_config(folder):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    rope = config.pop("rope_parameters")
    kind = rope.pop("rope_type")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if kind == "default" else {OLD_KEY[kind]: kind, **rope}
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.45.0"
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def fresh(model):
    """Forgets the longest sequence seen: dynamic scaling keeps its frequencies for the next, shorter one otherwise."""
    rotary = model.model.rotary_emb
    rotary.inv_freq, rotary.max_seq_len_cached = rotary.original_inv_freq.clone(), rotary.original_max_seq_len
    return model


def golden(folder):
    """Loads the folder as anybody would, in float32 with eager attention."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    theta = model.config.rope_parameters["rope_theta"]
    tensors, rows, wanted = {}, [], []
    vocab = model.config.vocab_size
    batch = [[t % vocab for t in ids] for ids in BATCH]
    label_rows = [[[p, t % vocab] for p, t in labels] for labels in LABELS]
    for i, (ids, labels) in enumerate(zip(batch, label_rows)):
        out = fresh(model)(torch.tensor([ids]), use_cache=False).logits[0]
        tensors[f"logits.{i}"] = out.detach().clone()
        rows.append(out[[p for p, _ in labels]])
        wanted += [t for _, t in labels]
    loss = torch.nn.functional.cross_entropy(torch.cat(rows), torch.tensor(wanted))
    loss.backward()
    for name, p in model.named_parameters():
        tensors[f"grad.{name}"] = p.grad.detach().clone()
    generated, margins = [], []
    dynamic = model.config.rope_parameters["rope_type"] == "dynamic"
    for ids in batch:
        seq, low, cache, new = list(ids), float("inf"), None, list(ids)
        fresh(model)
        with torch.no_grad():
            for _ in range(NEW_TOKENS):
                # With a cache, as generate does it: dynamic scaling turns a key by the frequencies of the step that made
                # it, so there a pass over the whole text anew is another computation.
                out = model(torch.tensor([new]), past_key_values=cache, use_cache=dynamic)
                cache, top = out.past_key_values if dynamic else None, out.logits[0, -1].topk(2)
                low = min(low, float(top.values[0] - top.values[1]))
                seq.append(int(top.indices[0]))
                new = seq[-1:] if dynamic else seq
        hf = fresh(model).generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                            do_sample=False, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS,
                            eos_token_id=[], pad_token_id=0)
        assert hf[0].tolist() == seq, "generate and the argmax loop differ"
        generated.append(seq[len(ids):])
        margins.append(low)
    return tensors, float(loss.detach()), generated, margins, theta, batch, label_rows


def make(name):
    model, v = build(VARIANTS[name])
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    extra = {"max_shard_size": v["shard"]} if v["shard"] else {}
    model.save_pretrained(folder, **extra)
    generation = folder / "generation_config.json"
    generation.unlink(missing_ok=True)
    if v["old_config"]:
        write_old_config(folder)
    tensors, loss, generated, margins, theta, batch, label_rows = golden(folder)
    assert theta == v["theta"], "transformers read another rope_theta"
    parameters = sorted(k[5:] for k in tensors if k.startswith("grad."))
    if not v["gradients"]:
        tensors = {k: t for k, t in tensors.items() if not k.startswith("grad.")}
    save_file({k: t.contiguous() for k, t in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps({
        "made_by": "goldens/models/make.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__,
                     "safetensors": safetensors.__version__},
        "input_ids": batch,
        "labels": label_rows,
        "loss": loss,
        "parameters": parameters,
        "new_tokens": NEW_TOKENS,
        "generated": generated,
        "smallest_greedy_margin": margins,
    }, indent=1) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)
    size = sum(f.stat().st_size for f in folder.iterdir())
    stored = load_file(next(folder.glob("model*.safetensors")))
    print(name, f"{size} bytes", f"loss {loss:.6f}", f"margin {min(margins):.4f}",
          {str(t.dtype) for t in stored.values()}, [f.name for f in sorted(folder.iterdir())])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or VARIANTS:
        make(name)
