"""A folder with T5's spiece.model and no tokenizer.json, and what transformers' T5Tokenizer makes of texts.

Run: python goldens/tokenizers/make_t5.py   (sentencepiece, transformers)
The texts are those of kinds/texts.json, and some with sentinels.
"""
import json
import tempfile
from pathlib import Path

import sentencepiece
import transformers

HERE = Path(__file__).parent
FOLDER = HERE / "t5"
SENTINELS = ["Hello <extra_id_0> world<extra_id_1>x  y </s> z", "<extra_id_99><extra_id_98>", "<extra_id_100> <pad>a<unk>",
             " <extra_id_0>", "a <extra_id_7> ", "a</s>"]


def main():
    texts = json.loads((HERE / "kinds" / "texts.json").read_text())["texts"] + SENTINELS
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([line for t in texts for line in t.split("\n") if line]), model_prefix=f"{scratch}/s",
            vocab_size=700, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1,
            normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, character_coverage=0.98, minloglevel=2)
        (FOLDER / "spiece.model").write_bytes(Path(f"{scratch}/s.model").read_bytes())
    (FOLDER / "config.json").write_text('{"model_type": "t5", "eos_token_id": 1, "pad_token_id": 0}\n')
    out = {"made_by": "goldens/tokenizers/make_t5.py", "texts": texts,
           "versions": {"transformers": transformers.__version__, "sentencepiece": sentencepiece.__version__}, "settings": []}
    for settings in [{}, {"tokenizer_class": "T5Tokenizer", "extra_ids": 3}, {"tokenizer_class": "T5TokenizerFast"}]:
        (FOLDER / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
        t = transformers.AutoTokenizer.from_pretrained(FOLDER)
        assert type(t).__name__.startswith("T5Tokenizer"), type(t)
        ids = [t.encode(text) for text in texts]
        out["settings"].append({
            "tokenizer_config.json": settings, "length": len(t), "ids": ids,
            "bare": [t.encode(text, add_special_tokens=False) for text in texts],
            "text": [t.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False) for row in ids]})
    (FOLDER / "tokenizer_config.json").unlink()
    (FOLDER / "ids.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")


main()
