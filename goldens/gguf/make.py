"""Goldens for the GGUF reader, made by gguf-py and transformers.

blocks.json    random blocks of each type and the float32 values gguf.quants gives for them, both base64
<name>.gguf    tiny LLaMA models; <name>.json has the config keys and the sha256 of each tensor's float32 bytes
               as transformers' from_pretrained(gguf_file=...) gives them

Run from this folder: python make.py   (needs gguf, torch, transformers)
"""
import base64, hashlib, json, logging
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as T

HERE = Path(__file__).parent
VERSIONS = {"gguf": version("gguf"), "torch": torch.__version__, "transformers": transformers.__version__}
b64 = lambda a: base64.b64encode(a.tobytes()).decode()


def half(rng, n):
    """Finite float16 scales of both signs, subnormals, zero and -0 included, as bytes."""
    bits = rng.integers(0, 1 << 16, n, dtype=np.uint16)
    bits[(bits & 0x7C00) == 0x7C00] &= 0x83FF
    bits[:3] = [0x0000, 0x8000, 0x0001]
    return bits.view(np.uint8).reshape(n, 2)


def blocks():
    rng = np.random.default_rng(7)
    out = {}
    for kind, halves, rest in [(T.Q4_0, 1, 16), (T.Q4_1, 2, 16), (T.Q8_0, 1, 32)]:
        parts = [half(rng, 16) for _ in range(halves)] + [rng.integers(0, 256, (16, rest), dtype=np.uint8)]
        data = np.concatenate(parts, axis=1)
        out[kind.name] = {"bytes": b64(data), "values": b64(gguf.quants.dequantize(data, kind).astype("<f4"))}
    plain = rng.standard_normal(64).astype("<f4")
    for kind, data in [(T.F32, plain), (T.F16, half(rng, 64).reshape(-1).view("<f2")),
                       (T.BF16, gguf.quants.quantize(plain, T.BF16))]:
        raw = np.frombuffer(data.tobytes(), dtype=np.uint8)
        values = data if kind == T.F32 else data.astype("<f4") if kind == T.F16 else gguf.quants.dequantize(raw, kind)
        out[kind.name] = {"bytes": b64(raw), "values": b64(values.astype("<f4"))}
    (HERE / "blocks.json").write_text(json.dumps({"versions": VERSIONS, "blocks": out}, indent=1) + "\n")


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in keep] + [chr(256 + i) for i in range(256 - len(keep))]


def model(name, *, heads, kv, tied, linear, embedding, seed):
    rng = np.random.default_rng(seed)
    hidden, ffn, layers = 32 * heads // 2, 64, 2
    head = hidden // heads
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_alphabet(), "th"]
    w = gguf.GGUFWriter(HERE / f"{name}.gguf", "llama")
    w.add_block_count(layers); w.add_context_length(64); w.add_embedding_length(hidden)
    w.add_feed_forward_length(ffn); w.add_head_count(heads); w.add_head_count_kv(kv)
    w.add_rope_freq_base(10000.0); w.add_layer_norm_rms_eps(1e-5); w.add_vocab_size(len(tokens))
    w.add_rope_dimension_count(head)
    w.add_tokenizer_model("gpt2"); w.add_tokenizer_pre("smollm"); w.add_token_list(tokens)
    w.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3)); w.add_token_merges(["t h"])
    w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_add_bos_token(False)

    def put(key, shape, kind):
        values = rng.standard_normal(shape).astype(np.float32) * 0.2
        w.add_tensor(key, gguf.quants.quantize(values, kind), raw_dtype=kind)

    put("token_embd.weight", (len(tokens), hidden), embedding)
    if not tied:
        put("output.weight", (len(tokens), hidden), embedding)
    put("output_norm.weight", (hidden,), T.F32)
    for i in range(layers):
        put(f"blk.{i}.attn_norm.weight", (hidden,), T.F32)
        put(f"blk.{i}.attn_q.weight", (heads * head, hidden), linear)
        put(f"blk.{i}.attn_k.weight", (kv * head, hidden), linear)
        put(f"blk.{i}.attn_v.weight", (kv * head, hidden), linear)
        put(f"blk.{i}.attn_output.weight", (hidden, heads * head), linear)
        put(f"blk.{i}.ffn_norm.weight", (hidden,), T.F32)
        put(f"blk.{i}.ffn_gate.weight", (ffn, hidden), linear)
        put(f"blk.{i}.ffn_up.weight", (ffn, hidden), linear)
        put(f"blk.{i}.ffn_down.weight", (hidden, ffn), linear)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()

    hf = transformers.AutoModelForCausalLM.from_pretrained(HERE, gguf_file=f"{name}.gguf", dtype=torch.float32)
    state = {k: v for k, v in hf.state_dict().items() if not (tied and k == "lm_head.weight")}
    tensors = {k: {"shape": list(v.shape), "sha256": hashlib.sha256(v.numpy().astype("<f4").tobytes()).hexdigest()}
               for k, v in sorted(state.items())}
    c = hf.config
    keys = ["model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "head_dim", "max_position_embeddings", "vocab_size", "bos_token_id",
            "eos_token_id", "tie_word_embeddings", "hidden_act"]
    config = {k: getattr(c, k) for k in keys} | {"rope_theta": c.rope_parameters["rope_theta"]}
    (HERE / f"{name}.json").write_text(
        json.dumps({"versions": VERSIONS, "config": config, "tensors": tensors}, indent=1) + "\n")


logging.disable(logging.WARNING)
blocks()
model("tied-gqa-q4_1", heads=4, kv=2, tied=True, linear=T.Q4_1, embedding=T.Q8_0, seed=1)
model("untied-mha-f16", heads=2, kv=2, tied=False, linear=T.F16, embedding=T.Q4_0, seed=2)
