"""The tiny models of ../models as llama.cpp's converter would write them, by gguf-py.

families/<name>.gguf  names are those of gguf-py's tensor_mapping, layouts and keys those of convert_hf_to_gguf.py
families/<name>.json  the config.json that stands for it (Hugging Face's, without what GGUF has no key for) and the sha256
                      of each tensor's float32 bytes under Hugging Face's name

Run from this folder: python make_families.py [name ...]   (needs gguf, numpy, safetensors, torch)
"""
import hashlib, json, math, re, sys
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
from gguf import MODEL_ARCH as A
from safetensors.torch import load_file

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
VERSIONS = {"gguf": version("gguf")}
LLAMA_LINE = {A.LLAMA, A.GRANITE, A.SMOLLM3}  # LlamaModel of the converter and its heirs: q and k are permuted
GEMMA = {A.GEMMA, A.GEMMA2, A.GEMMA3}
ARCH = {"llama": A.LLAMA, "mistral": A.LLAMA, "qwen2": A.QWEN2, "qwen3": A.QWEN3, "gemma": A.GEMMA, "gemma2": A.GEMMA2,
        "gemma3_text": A.GEMMA3, "olmo2": A.OLMO2, "granite": A.GRANITE, "smollm3": A.SMOLLM3, "cohere": A.COMMAND_R,
        "starcoder2": A.STARCODER2, "stablelm": A.STABLELM, "phi": A.PHI2, "phi3": A.PHI3, "gpt_neox": A.GPTNEOX, "mixtral": A.LLAMA, "qwen2_moe": A.QWEN2MOE,
        "qwen3_moe": A.QWEN3MOE, "gpt2": A.GPT2, "falcon": A.FALCON, "bloom": A.BLOOM}
OLDER = {A.GPT2, A.FALCON, A.BLOOM}  # their converters say nothing of positions that turn, nor of a head's size
# What the file cannot say is what llama.cpp computes instead: no window outside of Gemma; Gemma's scores are scaled by the
# size of a head, Gemma 2 has caps of 50 and 30, Gemma 3 turns its sliding layers by 10,000 and every sixth layer is full.
NO_WINDOW = {"mistral": {"model_type": "llama", "sliding_window": None}, "qwen2": {"use_sliding_window": False, "layer_types": None},
             "qwen3": {"use_sliding_window": False, "layer_types": None}, "starcoder2": {"sliding_window": None},
             "smollm3": {"use_sliding_window": False, "layer_types": None, "no_rope_layers": None, "no_rope_layer_interval": 4},
             "mixtral": {"sliding_window": None}, "qwen2_moe": {"use_sliding_window": False, "layer_types": None},
             "qwen3_moe": {"use_sliding_window": False, "norm_topk_prob": True}}  # which llama.cpp takes for granted


def interleave(x, heads):
    """LlamaModel.permute of the converter."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def in_parts(x, heads, kv):
    """FalconModel.modify_tensors: of each head of keys the queries, k and v become all q, all k, all v; with a head of keys for
    each of queries BloomModel's and GPTNeoXModel's."""
    head = x.shape[0] // (heads + 2 * kv)
    groups = x.reshape(kv, heads // kv + 2, head, *x.shape[1:])
    return np.concatenate([part.reshape(-1, *x.shape[1:]) for part in (groups[:, :-2], groups[:, -2], groups[:, -1])])


def sizes_of(c):
    """The config under the names that most families have, with what it means where it says nothing."""
    own = {"n_embd": "hidden_size", "n_embed": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers",
           "n_positions": "max_position_embeddings", "seq_length": "max_position_embeddings", "layer_norm_epsilon": "layer_norm_eps"}
    c = c | {own[k]: v for k, v in c.items() if k in own}
    c["max_position_embeddings"] = c.get("max_position_embeddings", 2048)
    c["intermediate_size"] = c.get("n_inner") or c.get("ffn_hidden_size") or 4 * c["hidden_size"]
    if c["model_type"] == "falcon":
        c["num_key_value_heads"] = c["num_kv_heads"] if c["new_decoder_architecture"] else 1 if c["multi_query"] else c["num_attention_heads"]
    return c


def rope_of(c):
    p = c.get("rope_parameters")
    if p is not None and "full_attention" in p:
        full, local = p["full_attention"], p["sliding_attention"]
        return {**full}, local["rope_theta"]
    if p is not None:
        return {**p}, None
    old = {"rope_theta": c.get("rope_theta", c.get("rotary_emb_base", 10000.0)), **(c.get("rope_scaling") or {})}
    if "type" in old:
        old["rope_type"] = old.pop("type")
    share = c.get("partial_rotary_factor", c.get("rotary_pct"))
    return old | ({} if share is None else {"partial_rotary_factor": share}), c.get("rope_local_base_freq")


def write(name, folder, more=None):
    c = json.loads((folder / "config.json").read_text()) | (more or {})
    kind, arch = c["model_type"], ARCH[c["model_type"]]
    told, c = c, sizes_of(c) if arch in OLDER else c
    layers, heads, hidden = c["num_hidden_layers"], c["num_attention_heads"], c["hidden_size"]
    head = c.get("head_dim") or hidden // heads
    kv = c.get("num_key_value_heads", heads)
    state = {k: v.float().numpy() for f in sorted(folder.glob("model*.safetensors")) for k, v in load_file(f).items()}
    (HERE / "families").mkdir(exist_ok=True)
    w = gguf.GGUFWriter(HERE / "families" / f"{name}.gguf", gguf.MODEL_ARCH_NAMES[arch])
    w.add_block_count(layers); w.add_context_length(c["max_position_embeddings"]); w.add_embedding_length(hidden)
    feed_forward = c["intermediate_size"]
    w.add_feed_forward_length(feed_forward); w.add_head_count(heads)
    if arch not in (A.GPTNEOX, A.GPT2):
        w.add_head_count_kv(kv)
    if arch == A.FALCON:
        w.add_tensor_data_layout("jploski")
    if c.get("head_dim"):
        w.add_key_length(head); w.add_value_length(head)
    rope, local = rope_of(c)
    theta = rope["rope_theta"]
    if arch not in OLDER or theta != 10000:
        w.add_rope_freq_base(theta)
    share = rope.get("partial_rotary_factor", 1)
    if share != 1 or arch in LLAMA_LINE or arch == A.PHI3:
        w.add_rope_dimension_count(int(head * share))
    if rope.get("rope_type", "default") == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR); w.add_rope_scaling_factor(rope["factor"])
    elif rope.get("rope_type", "default") == "longrope":
        # Phi3MiniModel.generate_extra_tensors
        assert arch == A.PHI3, rope
        most, original = c["max_position_embeddings"], c["original_max_position_embeddings"]
        scale = most / original
        w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0)
        for kept, list_name in [(gguf.MODEL_TENSOR.ROPE_FACTORS_LONG, "long_factor"), (gguf.MODEL_TENSOR.ROPE_FACTORS_SHORT, "short_factor")]:
            w.add_tensor(gguf.TENSOR_NAMES[kept] + ".weight", np.array(rope[list_name], dtype=np.float32))
    else:
        assert rope.get("rope_type", "default") == "default", rope
    if arch == A.PHI3:
        w.add_rope_scaling_orig_ctx_len(c["original_max_position_embeddings"]); w.add_sliding_window(c["sliding_window"] or 0)
    if "num_experts_per_tok" in c:
        w.add_expert_count(c.get("num_local_experts") or c["num_experts"]); w.add_expert_used_count(c["num_experts_per_tok"])
    if "moe_intermediate_size" in c:
        w.add_expert_feed_forward_length(c["moe_intermediate_size"])
    if "shared_expert_intermediate_size" in c:
        w.add_expert_shared_feed_forward_length(c["shared_expert_intermediate_size"])
    if arch == A.COMMAND_R:
        w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    if "rms_norm_eps" in c:
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    else:
        w.add_layer_norm_eps(c.get("layer_norm_eps", c.get("norm_epsilon")))
    if "use_parallel_residual" in c:
        w.add_parallel_residual(c["use_parallel_residual"])
    if arch == A.GRANITE:
        w.add_attention_scale(c["attention_multiplier"]); w.add_embedding_scale(c["embedding_multiplier"])
        w.add_residual_scale(c["residual_multiplier"]); w.add_logit_scale(c["logits_scaling"])
    if arch == A.COMMAND_R:
        w.add_logit_scale(c["logit_scale"])
    if arch in (A.GEMMA2, A.GEMMA3):
        w.add_sliding_window(c["sliding_window"])
        for key, add in [("attn_logit_softcapping", w.add_attn_logit_softcapping),
                         ("final_logit_softcapping", w.add_final_logit_softcapping)]:
            if c.get(key):
                add(c[key])
    vocab = c["vocab_size"]
    w.add_vocab_size(vocab)
    w.add_tokenizer_model("gpt2"); w.add_tokenizer_pre("gpt-2"); w.add_token_list([chr(65 + i) for i in range(vocab - 1)] + ["AB"])
    w.add_token_types([1] * vocab); w.add_token_merges(["A B"]); w.add_bos_token_id(1); w.add_eos_token_id(2)
    names, tensors = gguf.get_tensor_name_map(arch, layers), {}
    for block, part, h in [(i, p, n) for i in range(layers) for p, n in [("q", heads), ("k", kv)]]:
        # StableLMModel.modify_tensors: the norms of all heads are stacked.
        at = f"model.layers.{block}.self_attn.{part}_layernorm"
        own = [f"{at}.norms.{i}.weight" for i in range(h)]
        if own[0] in state:
            for key in own:
                tensors[key] = {"shape": [head], "sha256": hashlib.sha256(state[key].astype("<f4").tobytes()).hexdigest()}
            w.add_tensor(names.get_name(f"{at}.weight", try_suffixes=(".weight",)), np.stack([state.pop(key) for key in own]))
    # Qwen2MoeModel's and LlamaModel's: the experts of a layer are stacked.
    listed = {}
    for key in [key for key in state if ".experts." in key]:
        at, expert, leaf = re.fullmatch(r"(.+\.experts)\.(\d+)\.(.+)\.weight", key).groups()
        tensors[key] = {"shape": list(state[key].shape), "sha256": hashlib.sha256(state[key].astype("<f4").tobytes()).hexdigest()}
        listed.setdefault(f"{at}.{leaf}".replace("model.layers", "layers").replace("block_sparse_moe", "feed_forward")
                          if kind == "mixtral" else f"{at}.{leaf}", {})[int(expert)] = state.pop(key)
    for merged, parts in listed.items():
        ours = names.get_name(f"{merged}.weight", try_suffixes=(".weight",))
        assert ours and sorted(parts) == list(range(c.get("num_local_experts") or c["num_experts"])), merged
        w.add_tensor(ours, np.stack([parts[i] for i in range(len(parts))]))
    for key, x in state.items():
        if key.endswith((".attn.bias", ".attn.masked_bias")):
            continue  # of older GPT-2s: no weights
        # BloomModel.modify_tensors takes the prefix off; GPT-2's and Falcon's names are known with it, GPT-2's without, too.
        ours = names.get_name(key.removeprefix("transformer.") if arch == A.BLOOM else key, try_suffixes=(".weight", ".bias"))
        if key == "lm_head.weight" and (c["tie_word_embeddings"] or ours is None):
            c["tie_word_embeddings"] = True  # Command R's heads are always tied
            continue
        assert ours, key
        expected = x
        if arch in GEMMA and key.endswith("norm.weight"):
            x = x + np.float32(1)
            expected = x - np.float32(1)
        if arch in LLAMA_LINE and ".q_proj." in key:
            x = interleave(x, heads)
        if arch in LLAMA_LINE and ".k_proj." in key:
            x = interleave(x, kv)
        if "query_key_value" in key:
            x = in_parts(x, heads, kv)
        if arch == A.GPT2 and key.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
            x = x.T
        w.add_tensor(ours, np.ascontiguousarray(x))
        key = key if arch not in OLDER or key.startswith(("transformer.", "lm_head.")) else f"transformer.{key}"
        tensors[key] = {"shape": list(expected.shape), "sha256": hashlib.sha256(expected.astype("<f4").tobytes()).hexdigest()}
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    if arch in OLDER:
        c = {k: v for k, v in told.items() if k not in ("n_inner", "ffn_hidden_size")}
        c |= {"ffn_hidden_size" if arch == A.FALCON else "n_inner": feed_forward}
        c |= {"gpt2": {"activation_function": "gelu_new", "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False},
              "falcon": {"activation": "gelu"}, "bloom": {"apply_residual_connection_post_layernorm": False}}[kind]
    c |= {"bos_token_id": 1, "eos_token_id": 2, "head_dim": head} | NO_WINDOW.get(kind, {})
    if kind == "gpt_neox" or arch in OLDER:
        c.pop("head_dim")
    if arch == A.GEMMA:
        c["hidden_act"] = "gelu_pytorch_tanh"  # which the first configs call "gelu"
    if kind in ("gpt_neox", "phi"):
        c["hidden_act"] = {"gpt_neox": "gelu", "phi": "gelu_new"}[kind]  # of the published ones; the file has no key for it
    if arch == A.GEMMA2:
        c |= {k: c.get(k) or v for k, v in [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)]}
    if arch in (A.GEMMA2, A.GEMMA3):
        c["query_pre_attn_scalar"] = head
    if arch == A.GEMMA3:
        for key in ["rope_parameters", "layer_types", "_sliding_window_pattern", "rope_scaling"]:
            c.pop(key, None)
        c |= {"rope_theta": theta, "rope_local_base_freq": 10000.0, "sliding_window_pattern": 6}
        if rope.get("rope_type") == "linear":
            c["rope_scaling"] = {"rope_type": "linear", "factor": rope["factor"]}
    c = {k: v for k, v in c.items() if v is not None or k.endswith("softcapping")}
    if c["model_type"] == "llama":
        c.pop("sliding_window", None)
    (HERE / "families" / f"{name}.json").write_text(json.dumps({"versions": VERSIONS, "config": c, "tensors": dict(sorted(tensors.items()))}, indent=1) + "\n")
    print(name, (HERE / "families" / f"{name}.gguf").stat().st_size)


for folder in sorted(map(MODELS.joinpath, sys.argv[1:]) if sys.argv[1:] else MODELS.iterdir()):
    config = folder / "config.json"
    kind = json.loads(config.read_text())["model_type"] if config.exists() else "llama"
    # LLaMA's own are make.py's; what llama.cpp has no tensors or code for: Phi with norms of queries and keys, Qwen's experts
    # beside dense layers, Falcon with slopes.
    if kind in ARCH and kind != "llama" and folder.name not in (
        "phi-qk-norm", "qwen2_moe-window", "qwen3_moe", "falcon-rw", "falcon-multi-query-alibi"):
        write(folder.name, folder)
