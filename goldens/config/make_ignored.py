"""Keys that change the mathematics of the families that read them: by family, which of them transformers does not read.

Run: python goldens/config/make_ignored.py [golden ...]   (torch, transformers 5; goldens/models first; named ones alone are made anew)
Writes ignored.json: for each model_type the keys with which the logits are the same bits, no weight is missing, and nothing fails,
whatever the values (KEYS has some that would count); a key that its own config.json has with a value is left out.
"""
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from quiet import quiet

HERE = Path(__file__).parent
MODELS = HERE.parent / "models"
FAMILIES = ["llama-untied", "mistral-window", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3", "phi",
            "phi3-4k", "gpt2", "gpt_neox-parallel", "gptj", "olmo2", "granite", "stablelm", "starcoder2-window", "smollm3", "cohere",
            "falcon-7b", "bloom", "opt", "ministral", "ministral3", "olmo3", "olmo-clip", "olmoe", "cohere2", "exaone4", "seed_oss",
            "ernie4_5", "glm", "glm4", "nemotron", "arcee", "t5-flan", "mt5"]
TRUE = """add_cross_attention alibi attention_bias attention_k_eq_v attn_bias bias is_moe lm_head_bias mlp_bias multi_query mup_enabled
new_decoder_architecture norm_topk_prob parallel_attn prefix_lm qk_layernorm qk_norm qkv_bias rope_interleave rope_interleaved
scale_attn_by_inverse_layer_idx scale_embedding use_bias use_bidirectional_attention use_parallel_residual use_post_norm use_mrope
use_qk_norm use_sliding_window scale_attn_weights reorder_and_upcast_attn do_layer_norm_before tie_encoder_decoder""".split()
KEYS = {
    **{key: [True, False] for key in TRUE},
    **{key: [0.5, 2] for key in """attention_in_multiplier attention_out_multiplier embedding_multiplier key_multiplier
        lm_head_multiplier logit_scale logits_scaling residual_multiplier rope_ratio scale_emb attention_multiplier""".split()},
    **{key: [0.5, 0.25] for key in "partial_rotary_factor rotary_pct final_logit_softcapping attn_logit_softcapping".split()},
    **{key: [1, 2] for key in """decoder_sparse_step num_kv_shared_layers num_nextn_predict_layers first_k_dense_replace
        n_routed_experts num_experts num_experts_per_tok num_local_experts moe_intermediate_size kv_lora_rank q_lora_rank
        rotary_dim max_window_layers attention_chunk_size sliding_window sliding_window_pattern query_pre_attn_scalar
        ffn_dim ffn_hidden_size intermediate_size n_inner""".split()},
    **{key: [0.1, 0.5] for key in "layer_norm_eps layer_norm_epsilon norm_eps rms_norm_eps clip_qkv norm_epsilon".split()},
    **{key: ["relu", "silu", "gelu"] for key in "activation_function hidden_activation hidden_act".split()},
    "layer_types": [["sliding_attention"] * 2, ["linear_attention"] * 2],
    "mlp_layer_types": [["sparse"] * 2], "no_rope_layers": [[0, 0]], "mlp_only_layers": [[0]],
    "pruned_heads": [{"0": [0]}], "position_embedding_type": ["alibi", "absolute"],
}


def opened(folder):
    reads = json.loads((Path(folder) / "config.json").read_text()).get("is_encoder_decoder")
    kind = AutoModelForSeq2SeqLM if reads else AutoModelForCausalLM
    model, info = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True, output_loading_info=True)
    ids = torch.tensor([[1, 5, 9, 4, 7, 6, 12, 3]])
    with torch.no_grad():
        logits = model.eval()(ids, **({"decoder_input_ids": ids} if reads else {})).logits
    return logits, sorted(info["missing_keys"]), sorted(info["unexpected_keys"])


def is_ignored(name, config, plain, key):
    with tempfile.TemporaryDirectory() as temporary:
        for file in (MODELS / name).glob("*.safetensors"):
            shutil.copy(file, temporary)
        for value in KEYS[key]:
            (Path(temporary) / "config.json").write_text(json.dumps({**config, key: value}))
            try:
                logits, *keys = opened(temporary)
            except Exception:
                return False
            if keys != list(plain[1:]) or not torch.equal(logits, plain[0]):
                return False
    return True


def main():
    quiet()
    torch.set_num_threads(1)
    out = {"made_by": "goldens/config/make_ignored.py", "keys": KEYS, "ignored": {},
           "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
    if sys.argv[1:]:
        out["ignored"] = json.loads((HERE / "ignored.json").read_text())["ignored"]
    for name in sys.argv[1:] or FAMILIES:
        config = json.loads((MODELS / name / "config.json").read_text())
        plain = opened(MODELS / name)
        keys = [key for key in KEYS if config.get(key) is None and is_ignored(name, config, plain, key)]
        out["ignored"][config["model_type"]] = {"golden": name, "keys": keys}
        print(config["model_type"], "reads", [key for key in KEYS if key not in keys and config.get(key) is None], flush=True)
        (HERE / "ignored.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
