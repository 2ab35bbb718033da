"""What transformers says about SmolLM2-135M-Instruct, loaded from its GGUF in float32.

Run: python goldens/smollm2/make.py --gguf FILE   (torch, transformers, gguf, safetensors; 2-4 minutes)
Texts are in texts.json beside this file; output golden.json and golden.safetensors.
"""
import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
TOP, PROBES, NEW_TOKENS, GRADIENT_ROWS = 20, 64, 40, 24


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def label_rows(length, count=6):
    """The last `count` tokens of a text are predicted by the rows before them."""
    return list(range(max(0, length - 1 - count), length - 1))


def chat(tokenizer, prompt):
    return tokenizer.apply_chat_template(prompt["messages"], tokenize=False, add_generation_prompt=True)


def open_tokenizer(where):
    """transformers reads vocabulary and merges from the GGUF but not `tokenizer.ggml.pre = smollm`:
    the published tokenizer.json splits digits before the byte-level regex."""
    tokenizer = AutoTokenizer.from_pretrained(**where)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--gguf", type=Path, required=True)
    path = args.parse_args().gguf
    torch.set_num_threads(2)
    where = dict(pretrained_model_name_or_path=str(path.parent), gguf_file=path.name)
    tokenizer = open_tokenizer(where)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, attn_implementation="eager").eval()
    source = json.loads((HERE / "texts.json").read_text())
    random = torch.Generator().manual_seed(2024)
    vocab = model.config.vocab_size
    probes = torch.randperm(vocab, generator=random)[:PROBES].sort().values

    tensors = {"probe_ids": probes}
    texts, probed = [], []
    for i, text in enumerate(source["texts"]):
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([ids]), use_cache=False).logits[0]
        last = len(ids) - 1
        picked = sorted({last, last // 3, 2 * last // 3})
        top = logits[picked].topk(TOP)
        tensors[f"top_ids.{i}"] = top.indices
        tensors[f"top_logits.{i}"] = top.values
        rows = list(range(0, len(ids), 4))
        if rows[-1] != last:
            rows.append(last)
        tensors[f"probe_logits.{i}"] = logits[rows][:, probes]
        texts.append({"text": text, "input_ids": ids, "top_positions": picked, "probe_positions": rows})

    # Gradient of the mean cross-entropy over all label rows of four texts. The head is tied, so a
    # row's gradient is the sum of its use as input and as output.
    batch = [texts[i]["input_ids"] for i in source["gradient_texts"]]
    parts, wanted = [], []
    for ids in batch:
        rows = label_rows(len(ids))
        parts.append(model(torch.tensor([ids]), use_cache=False).logits[0, rows])
        wanted += [ids[r + 1] for r in rows]
    loss = torch.nn.functional.cross_entropy(torch.cat(parts), torch.tensor(wanted))
    embedding = model.get_input_embeddings().weight
    (gradient,) = torch.autograd.grad(loss, embedding)
    used = sorted({t for ids in batch for t in ids})
    chosen = [used[round(i * (len(used) - 1) / (GRADIENT_ROWS - 1))] for i in range(GRADIENT_ROWS)]
    tensors["gradient_rows"] = gradient[chosen].clone()
    tensors["gradient_ids"] = torch.tensor(chosen)

    end = model.generation_config.eos_token_id
    end = set(end if isinstance(end, list) else [end])
    end.add(tokenizer.eos_token_id)
    prompts = []
    for prompt in source["prompts"]:
        text = prompt["text"] if "text" in prompt else chat(tokenizer, prompt)
        ids = tokenizer(text)["input_ids"]
        seq, low, cache = list(ids), float("inf"), None
        with torch.no_grad():
            out = model(torch.tensor([ids]), use_cache=True)
            for _ in range(NEW_TOKENS):
                top = out.logits[0, -1].topk(2)
                low = min(low, float(top.values[0] - top.values[1]))
                token = int(top.indices[0])
                if token in end:
                    break
                seq.append(token)
                out = model(torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
        new = seq[len(ids):]
        hf = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                            do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=sorted(end),
                            pad_token_id=tokenizer.eos_token_id)[0, len(ids):].tolist()
        assert [t for t in hf if t not in end] == new, "generate and the argmax loop differ"
        prompts.append({"prompt": text, "input_ids": ids, "generated_ids": new,
                        "generated": tokenizer.decode(new), "stopped": len(new) < NEW_TOKENS,
                        "smallest_greedy_margin": low})

    save_file({k: t.detach().contiguous() for k, t in tensors.items()}, HERE / "golden.safetensors")
    (HERE / "golden.safetensors").chmod(0o644)
    config = model.config.to_dict()
    (HERE / "golden.json").write_text(json.dumps({
        "made_by": "goldens/smollm2/make.py",
        "gguf": {"name": path.name, "sha256": sha256(path)},
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__,
                     "gguf": version("gguf")},
        "config": {k: config.get(k) for k in (
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "vocab_size", "rms_norm_eps", "rope_parameters", "tie_word_embeddings", "max_position_embeddings")},
        "end_ids": sorted(end),
        "texts": texts,
        "gradient": {"texts": source["gradient_texts"], "label_rows": [label_rows(len(b)) for b in batch],
                     "loss": float(loss.detach()), "norm_all_rows": float(gradient.norm())},
        "prompts": prompts,
    }, indent=1, ensure_ascii=False) + "\n")
    print("tokens", sum(len(t["input_ids"]) for t in texts), "lengths", sorted(len(t["input_ids"]) for t in texts))
    print("loss", float(loss.detach()), "gradient norm", float(gradient.norm()))
    for p in prompts:
        print(len(p["generated_ids"]), "%.4f" % p["smallest_greedy_margin"], repr(p["prompt"][-50:]), "→", repr(p["generated"][:90]))


if __name__ == "__main__":
    main()
