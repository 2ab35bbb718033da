"""What lm-evaluation-harness (HFLM, backend seq2seq) and transformers' generate make of texts, asked of a tiny T5.

Run: python goldens/lm-eval/make_seq2seq.py   (lm-eval, torch, transformers)
Writes t5/: config.json and pytorch_model.bin, which has the tied matrix under its four names as old checkpoints do; the
tokenizer is that of ../tokenizers/t5. golden.json: of each pair its log-likelihood and whether it is greedy; greedy text.
"""
import json
import shutil
import tempfile
from pathlib import Path

import lm_eval
import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

HERE = Path(__file__).parent
FOLDER = HERE / "t5"
SPIECE = HERE.parent / "tokenizers" / "t5" / "spiece.model"
PAIRS = [["The answer is: ", "the old house"], ["The answer is:", " the old house"], ["Hello  \n\t ", "world"], ["Hello", "world"],
         ["", "the old house"], ["", "</s> house"], ["  ", "x"], ["日本語 ", "テキスト"], ["x " * 100, "y"], ["x " * 100, "no y z"],
         ["x " * 100, "a longer one"], ["translate <extra_id_0> now", "<extra_id_0> this <extra_id_1>"]]
PROMPTS = ["The answer is", "x " * 100, "", "translate <extra_id_0> now", "日本語"]
ANSWERS = ["the old house", "y", "x <extra_id_1> of it", "now", "テキスト and more of it"]
NEW = 20


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    torch.manual_seed(77)
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(SPIECE, f"{scratch}/spiece.model")
        (Path(scratch) / "config.json").write_text('{"model_type": "t5"}')
        length = len(AutoTokenizer.from_pretrained(scratch))
        config = AutoConfig.for_model(model_type="t5", vocab_size=length + 3, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2,
                                      decoder_start_token_id=0, eos_token_id=1, pad_token_id=0)
        model = AutoModelForSeq2SeqLM.from_config(config).float().eval()
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_((1.0 if "shared" in name else 1.2) * torch.randn_like(p) + (1 if "norm" in name else 0))
        model.tie_weights()
        state = model.state_dict()
        names = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"]
        assert all(state[name].data_ptr() == state[names[0]].data_ptr() for name in names), "not tied"
        torch.save(state, FOLDER / "pytorch_model.bin")
        (FOLDER / "config.json").write_text(json.dumps({k: v for k, v in config.to_diff_dict().items()
            if k not in ("scale_decoder_outputs", "is_decoder")} | {"tie_word_embeddings": True}, indent=1, sort_keys=True) + "\n")
        for name in ("config.json", "pytorch_model.bin"):
            shutil.copy(FOLDER / name, scratch)
        lm = HFLM(pretrained=scratch, backend="seq2seq", device="cpu", dtype="float32", batch_size=1)
        generated = []
        for prompt in PROMPTS:
            row = lm.tokenizer(prompt, return_tensors="pt")
            out = lm.model.generate(**row, do_sample=False, num_beams=1, max_new_tokens=NEW)[0, 1:].tolist()
            generated.append(out[:out.index(1)] if 1 in out else out)
        rows = [(lm.tokenizer(p).input_ids, lm.tokenizer(a).input_ids) for p, a in zip(PROMPTS, ANSWERS)]
        longest = max(len(a) for _, a in rows)
        encoded = lm.tokenizer.pad({"input_ids": [p for p, _ in rows]}, return_tensors="pt")
        loss = lm.model(**encoded, labels=torch.tensor([a + [-100] * (longest - len(a)) for _, a in rows])).loss
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in lm.model.parameters()])
        # What it would have written itself.
        pairs = PAIRS + [[p, lm.tokenizer.decode(g[:2])] for p, g in zip(PROMPTS, generated) if p]
        asked = [Instance(request_type="loglikelihood", doc={}, arguments=tuple(p), idx=i) for i, p in enumerate(pairs)]
        scores = lm.loglikelihood(asked, disable_tqdm=True)
    (FOLDER / "golden.json").write_text(json.dumps({
        "made_by": "goldens/lm-eval/make_seq2seq.py",
        "versions": {"lm_eval": lm_eval.__version__ if hasattr(lm_eval, "__version__") else "", "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "pairs": pairs, "logprob": [float(s[0]) for s in scores], "greedy": [bool(s[1]) for s in scores],
        "answers": ANSWERS, "loss": float(loss.detach()), "gradient_norm": float(norm), "prompts": PROMPTS, "new_tokens": NEW, "generated": generated}, ensure_ascii=False, indent=1) + "\n")


main()
