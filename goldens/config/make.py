"""Which keys of config.json change what a LLaMA computes in transformers, and which every config may have.

Run: python goldens/config/make.py PYTHON4   (torch, transformers 5; PYTHON4: a Python with transformers 4)
Writes keys.json: the attributes of PretrainedConfig and GenerationConfig of both versions, and for keys with values that
are not the default whether the logits of a tiny model are the `same`, `other`, or whether it is an `error`.
"""
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, PretrainedConfig

HERE = Path(__file__).parent
MODEL = HERE.parent / "models" / "llama-gqa"
LISTS = """
import json, transformers
from transformers import GenerationConfig, PretrainedConfig
keys = lambda c: sorted(set(vars(c)) | set(c.to_dict()))
print(json.dumps({"transformers": transformers.__version__,
                  "config": keys(PretrainedConfig()), "generation": keys(GenerationConfig())}))
"""
# Beyond those: what training tools and other families leave in a LLaMA's config.json.
OTHERS = {
    "unsloth_version": "2024.9", "unsloth_fixed": True, "_commit_hash": "0" * 40, "max_sequence_length": 64,
    "model_max_length": 64, "gradient_checkpointing": True, "use_flash_attention_2": True, "attn_implementation": "eager",
    "_attn_implementation": "eager", "_flash_attn_2_enabled": True, "attention_probs_dropout_prob": 0.1,
    "hidden_dropout": 0.1, "hidden_dropout_prob": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, "attn_pdrop": 0.1,
    "embedding_dropout": 0.1, "classifier_dropout": 0.1, "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>",
    "is_llama_config": True, "transformers.js_config": {"dtype": "q4"}, "auto_map": {"AutoConfig": "x--y.Z"},
    "name_or_path": "x", "num_labels": 3, "torch_dtype": "float32", "dtype": "float32", "use_cache": False,
    "pretraining_tp": 2, "initializer_range": 0.5, "attention_dropout": 0.3, "router_aux_loss_coef": 0.1,
    "output_router_logits": False, "neftune_noise_alpha": 5,
    # Of consequence in families that read them.
    "layer_types": ["full_attention", "full_attention"], "hidden_act": "gelu", "attention_bias": True, "mlp_bias": True,
    "rms_norm_eps": 0.1, "rope_theta": 77.0, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 50000.0},
    "head_dim": 4, "num_key_value_heads": 4, "num_hidden_layers": 1, "tie_word_embeddings": True,
    "quantization_config": {"quant_method": "gptq", "bits": 4}, "per_layer_config": {"0": {"hidden_act": "gelu"}},
}
WILD = {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}, "problem_type": "regression",
        "architectures": ["LlamaForSequenceClassification"], "return_dict": False, "max_length": 7, "min_length": 3,
        "temperature": 0.3, "top_k": 3, "top_p": 0.5, "typical_p": 0.5, "repetition_penalty": 3.0, "num_beams": 4,
        "bos_token_id": 5, "eos_token_id": [5, 6], "pad_token_id": 7, "sep_token_id": 8, "do_sample": True,
        "pruned_heads": {"0": [1]}, "task_specific_params": {"a": {"b": 1}}, "prefix": "a", "tokenizer_class": "X",
        "finetuning_task": "x", "decoder_start_token_id": 3, "model_type": "llama", "transformers_version": "4.1.0",
        "_name_or_path": "x", "suppress_tokens": [1, 2], "begin_suppress_tokens": [1], "bad_words_ids": [[1]],
        "forced_bos_token_id": 1, "forced_eos_token_id": 1, "exponential_decay_length_penalty": [2, 1.5],
        "cross_attention_hidden_size": 16, "stop_strings": ["x"], "sequence_bias": [[[1], 2.0]],
        "cache_implementation": "static", "guidance_scale": 2.0, "watermarking_config": {"bias": 2.0},
        "no_repeat_ngram_size": 2, "encoder_no_repeat_ngram_size": 2, "chunk_size_feed_forward": 1,
        "num_beam_groups": 2, "assistant_ensemble_weight": 0.5, "compile_config": {}, "penalty_alpha": 0.5, "min_p": 0.1, "max_new_tokens": 3, "max_time": 1.0}
UNREAD = ["some_future_key", "another.key"]


def logits(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        out = model(torch.tensor([[1, 5, 9, 40, 77, 95, 12, 3]]))
    return (out[0] if isinstance(out, tuple) else out.logits).float()


def outcome(plain, key, value):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(MODEL / "model.safetensors", folder)
        config = json.loads((MODEL / "config.json").read_text())
        if key.startswith("rope_"):
            config.pop("rope_parameters")
        (folder / "config.json").write_text(json.dumps({**config, key: value}))
        try:
            return "same" if torch.allclose(logits(folder), plain, atol=1e-5) else "other"  # kernels of attention differ by rounding
        except Exception as error:
            return "error: " + type(error).__name__


def main():
    transformers.logging.set_verbosity(50)
    warnings.simplefilter("ignore")
    keys = lambda c: sorted(set(vars(c)) | set(c.to_dict()))
    lists = [{"transformers": transformers.__version__, "config": keys(PretrainedConfig()), "generation": keys(GenerationConfig())},
             json.loads(subprocess.run([sys.argv[1], "-c", LISTS], capture_output=True, check=True, text=True).stdout)]
    plain = logits(MODEL)
    tried = {}
    names = sorted({name for l in lists for part in ("config", "generation") for name in l[part]} | set(OTHERS) | set(UNREAD))
    for name in names:
        default = getattr(PretrainedConfig(), name, None) if name in lists[0]["config"] else None
        value = OTHERS.get(name, WILD.get(name, not default if isinstance(default, bool) else True))
        tried[name] = {"value": value, "outcome": outcome(plain, name, value)}
        print(name, tried[name])
    made = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    (HERE / "keys.json").write_text(json.dumps({"made_by": made, "lists": lists, "tried": tried}, indent=1) + "\n")


main()
