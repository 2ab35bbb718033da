"""Goldens for the GGUF reader, made by gguf-py and transformers.

blocks.json    random blocks of each type and the float32 values gguf.quants gives for them, both base64
<name>.gguf    tiny LLaMA models; <name>.json has the config keys and the sha256 of each tensor's float32 bytes
               as transformers' from_pretrained(gguf_file=...) gives them
type-*.gguf    one a tensor type, of random blocks; the .json has transformers' logits
options-*.gguf biases and RoPE scaling as llama.cpp's converter writes them; the .json has transformers' logits

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


# Where the float16 scales of a quantised block lie; every other byte may be anything.
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0], T.MXFP4: []}
EXPONENTS = {T.MXFP4: 0}  # or a byte that is a power of two


def random_blocks(rng, kind, n, scale=None):
    """n blocks of random bytes, [n, bytes]; scales are any finite float16, or about `scale` (of minima: half of it)."""
    data = rng.integers(0, 256, (n, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    for i, at in enumerate(HALVES[kind]):
        if scale is None:
            data[:, at:at + 2] = half(rng, n)
        else:
            values = scale * (0.5 + rng.random(n)) * (1 if i == 0 else MINIMUM[kind])
            data[:, at:at + 2] = values.astype("<f2").view(np.uint8).reshape(n, 2)
    if kind in EXPONENTS and scale is not None:
        data[:, EXPONENTS[kind]] = 128 + np.round(np.log2(scale * (0.5 + rng.random(n)))).astype(int)
    return data


def blocks():
    rng = np.random.default_rng(7)
    out = {}
    for kind in HALVES:
        data = random_blocks(rng, kind, 8 if gguf.GGML_QUANT_SIZES[kind][0] == 256 else 16)
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


# Scales that give values of standard deviation near 0.25 about a mean near 0, so that logits are neither flat nor huge;
# for types with a minimum, what it is of the scale.
SCALE = {T.Q4_0: 0.054, T.Q4_1: 0.054, T.Q5_0: 0.027, T.Q5_1: 0.027, T.Q8_0: 0.0034, T.Q2_K: 0.025, T.Q3_K: 0.006,
         T.Q4_K: 0.0016, T.Q5_K: 0.0008, T.Q6_K: 0.00018, T.IQ4_NL: 0.0035, T.IQ4_XS: 0.00019, T.MXFP4: 0.045}
MINIMUM = {T.Q4_1: -7.5, T.Q5_1: -15.5, T.Q2_K: 1.5, T.Q4_K: 7.5, T.Q5_K: 15.5}
PROMPT = [1, 5, 9, 22, 3, 3, 28, 0, 14, 7]


def writer(name, tokens, *, hidden, heads, kv, head, ffn, layers, theta=10000.0):
    w = gguf.GGUFWriter(HERE / f"{name}.gguf", "llama")
    w.add_block_count(layers); w.add_context_length(64); w.add_embedding_length(hidden)
    w.add_feed_forward_length(ffn); w.add_head_count(heads); w.add_head_count_kv(kv)
    w.add_key_length(head); w.add_value_length(head); w.add_rope_dimension_count(head)
    w.add_rope_freq_base(theta); w.add_layer_norm_rms_eps(1e-5); w.add_vocab_size(len(tokens))
    w.add_tokenizer_model("gpt2"); w.add_tokenizer_pre("smollm"); w.add_token_list(tokens)
    w.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3)); w.add_token_merges(["A B"])
    w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_add_bos_token(False)
    return w


def close(w):
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


def logits_json(name, model, **more):
    with torch.no_grad():
        logits = model(torch.tensor([PROMPT]), use_cache=False).logits[0].numpy().astype("<f4")
    (HERE / f"{name}.json").write_text(json.dumps(
        {"versions": VERSIONS, "prompt": PROMPT, "vocab": logits.shape[1], "logits": b64(logits), **more}, indent=1) + "\n")
    size = (HERE / f"{name}.gguf").stat().st_size
    print(f"{name}: {size} bytes, logits' standard deviation {logits.std():.2f}")


TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_alphabet()[32:60], "AB"]


def typed(kind, seed):
    """One layer whose every matrix with rows of 256 is of this type; the two with rows of 16 are F16."""
    rng = np.random.default_rng(seed)
    hidden, heads, kv, head, ffn = 256, 2, 1, 8, 16
    name = f"type-{kind.name.lower()}"
    w = writer(name, TOKENS, hidden=hidden, heads=heads, kv=kv, head=head, ffn=ffn, layers=1)

    def put(key, *shape):
        if shape[-1] != hidden:
            return w.add_tensor(key, (rng.standard_normal(shape) * 0.25).astype(np.float16))
        if len(shape) == 1:
            return w.add_tensor(key, (1 + 0.3 * rng.standard_normal(shape)).astype(np.float32))
        if kind in HALVES:
            data = random_blocks(rng, kind, shape[0] * hidden // gguf.GGML_QUANT_SIZES[kind][0], SCALE[kind])
            return w.add_tensor(key, data.reshape(shape[0], -1), raw_dtype=kind)
        data = gguf.quants.quantize((rng.standard_normal(shape) * 0.25).astype(np.float32), kind)
        w.add_tensor(key, data, raw_dtype=kind)

    put("token_embd.weight", len(TOKENS), hidden)
    put("output_norm.weight", hidden)
    put("blk.0.attn_norm.weight", hidden)
    put("blk.0.attn_q.weight", heads * head, hidden)
    put("blk.0.attn_k.weight", kv * head, hidden)
    put("blk.0.attn_v.weight", kv * head, hidden)
    put("blk.0.attn_output.weight", hidden, heads * head)
    put("blk.0.ffn_norm.weight", hidden)
    put("blk.0.ffn_gate.weight", ffn, hidden)
    put("blk.0.ffn_up.weight", ffn, hidden)
    put("blk.0.ffn_down.weight", hidden, ffn)
    close(w)
    model = transformers.AutoModelForCausalLM.from_pretrained(HERE, gguf_file=f"{name}.gguf", dtype=torch.float32)
    if kind not in (T.F32, T.F16):  # transformers must have read what gguf-py reads
        tensor = next(t for t in gguf.GGUFReader(HERE / f"{name}.gguf").tensors if t.name == "blk.0.ffn_up.weight")
        up = torch.from_numpy(gguf.quants.dequantize(tensor.data, kind))
        assert torch.equal(up, model.model.layers[0].mlp.up_proj.weight.data), "transformers reads other values"
    logits_json(name, model)


# ------------------------------------------- options of the family, as llama.cpp's converter writes them
def interleave(x, heads):
    """The order of q's and k's rows (and biases) in GGUF: convert_hf_to_gguf.py's permute."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def rope_factors(rope, head):
    """rope_freqs.weight as the converter computes it from llama3's four numbers."""
    import math
    base, dim, factors = rope["rope_theta"], head, []
    low, high, old = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    for freq in 1.0 / (base ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)):
        wavelen = 2 * math.pi / freq
        if wavelen < old / high:
            factors.append(1)
        elif wavelen > old / low:
            factors.append(rope["factor"])
        else:
            smooth = (old / wavelen - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def option(name, rope, *, seed, attention_bias=False, mlp_bias=False, kind=T.F32):
    """A model made by transformers, written with gguf-py; logits are those of the model with what the file holds."""
    torch.manual_seed(seed)
    hidden, heads, kv, head, ffn, layers = 32, 4, 2, 16, 32, 2
    config = transformers.LlamaConfig(
        vocab_size=len(TOKENS), hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv, head_dim=head, max_position_embeddings=64, rms_norm_eps=1e-5,
        rope_parameters=dict(rope), tie_word_embeddings=False, attention_bias=attention_bias, mlp_bias=mlp_bias,
        bos_token_id=1, eos_token_id=2)
    model = transformers.LlamaForCausalLM(config).eval()
    w = writer(name, TOKENS, hidden=hidden, heads=heads, kv=kv, head=head, ffn=ffn, layers=layers, theta=rope["rope_theta"])
    if rope["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR); w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", rope_factors(rope, head))
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(1 + 0.3 * torch.randn_like(p) if "norm" in key else 0.3 * torch.randn_like(p))
            if p.ndim == 2:
                data = gguf.quants.quantize(p.numpy(), kind)
                p.copy_(torch.from_numpy(gguf.quants.dequantize(data, kind)))
            values = p.numpy()
            outside = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
                       "lm_head.weight": "output.weight"}
            if key in outside:
                w.add_tensor(outside[key], gguf.quants.quantize(values, kind if p.ndim == 2 else T.F32),
                             raw_dtype=kind if p.ndim == 2 else T.F32)
                continue
            _, _, layer, *module, leaf = key.split(".")
            ours = NAMES[".".join(module)]
            values = {"attn_q": lambda v: interleave(v, heads), "attn_k": lambda v: interleave(v, kv)}.get(
                ours, lambda v: v)(values)
            k = kind if p.ndim == 2 else T.F32
            w.add_tensor(f"blk.{layer}.{ours}.{leaf}", gguf.quants.quantize(np.ascontiguousarray(values), k), raw_dtype=k)
    close(w)
    logits_json(name, model, config={"rope": rope, "attention_bias": attention_bias, "mlp_bias": mlp_bias})


logging.disable(logging.WARNING)
torch.set_num_threads(1)
blocks()
model("tied-gqa-q4_1", heads=4, kv=2, tied=True, linear=T.Q4_1, embedding=T.Q8_0, seed=1)
model("untied-mha-f16", heads=2, kv=2, tied=False, linear=T.F16, embedding=T.Q4_0, seed=2)
def factors():
    """rope_freqs.weight of published models, and one with other numbers."""
    cases = [("Llama 3.1 8B", 500000.0, 128, 8.0, 1.0, 4.0, 8192), ("Llama 3.2 1B", 500000.0, 64, 32.0, 1.0, 4.0, 8192),
             ("other", 10000.0, 96, 5.0, 1.0, 2.5, 3000)]
    out = []
    for name, theta, head, factor, low, high, old in cases:
        rope = {"rope_theta": theta, "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
                "original_max_position_embeddings": old}
        out.append({"name": name, "head_dim": head, "rope": rope, "factors": b64(rope_factors(rope, head))})
    (HERE / "rope-factors.json").write_text(json.dumps({"versions": VERSIONS, "cases": out}, indent=1) + "\n")


factors()
for seed, kind in enumerate([T.F32, T.F16, T.BF16, *HALVES], start=20):
    typed(kind, seed)
LLAMA3 = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 128}
option("options-bias-llama3", LLAMA3, seed=41, attention_bias=True, mlp_bias=True, kind=T.Q8_0)
option("options-linear", {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}, seed=42, kind=T.Q8_0)
option("options-mlp-bias", {"rope_type": "default", "rope_theta": 500.0}, seed=43, mlp_bias=True, kind=T.Q8_0)


def split(name):
    """A file of which llama-gguf-split would have made three: keys and some tensors in the first, tensors in the others."""
    r = gguf.GGUFReader(HERE / f"{name}.gguf")
    tensors, n = list(r.tensors), 3
    for part in range(n):
        w = gguf.GGUFWriter(HERE / "split" / f"{name}-{part + 1:05d}-of-{n:05d}.gguf", "llama")
        if part == 0:
            for field in r.fields.values():
                if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                    sub_type = field.types[1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
                    w.add_key_value(field.name, field.contents(), field.types[0], sub_type)
        w.add_uint16("split.no", part); w.add_uint16("split.count", n); w.add_int32("split.tensors.count", len(tensors))
        for t in tensors[part::n]:
            w.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
        close(w)


(HERE / "split").mkdir(exist_ok=True)
split("tied-gqa-q4_1")
