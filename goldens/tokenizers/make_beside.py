"""Goldens for tokens that stand beside tokenizer.json or tokenizer.model: what transformers' AutoTokenizer makes of folders.

usage: make_beside.py

beside.json: `base`, a small tokenizer.json; `cases`, each with the files of a folder (`tokenizer.json` true: the base;
`tokenizer.model`: a file of sentencepiece/), and what AutoTokenizer says: ids of `texts` with and without special tokens,
the added tokens with their special flags, which ids skip_special_tokens leaves out, the named tokens and the length.
"""
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import sentencepiece
import tokenizers
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()

TEXTS = [
    "<|im_start|>user\nhello<|im_end|>\n", "a<|tool|>b", "x <|tool|> y", "<pad>the<pad>", "the <s> house</s>", "[PAD] hello [PAD]",
    "<|a|><|b|><|c|><|d|>", " <|a|> <|b|> ", "<image>house", "<extra> hello", "old house", "house", "<unk>", "sep<sep>", "hello  world", "old the",
]
CLASS = {"tokenizer_class": "PreTrainedTokenizerFast"}
NAMED = {**CLASS, "bos_token": "<s>", "eos_token": "</s>"}
plain = lambda content, **flags: {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": False, **flags}


def base():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    corpus = ["the old house and the new house, hello world, hello the old world"] * 9
    t.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=["<s>", "</s>"]))
    t.add_tokens([AddedToken("<|tool|>", normalized=False, special=False)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)])
    return t


N = base().get_vocab_size()  # the next free id
JSON_CASES = {
    "nothing beside": {"tokenizer_config.json": NAMED},
    "no config": {},
    "added_tokens.json": {"tokenizer_config.json": NAMED, "added_tokens.json": {"<|a|>": N, "<|b|>": N + 1}},
    "added_tokens.json out of order, with a gap": {"tokenizer_config.json": NAMED, "added_tokens.json": {"<|a|>": N + 9, "<|b|>": N + 2}},
    "added_tokens.json, some special by the map": {
        "tokenizer_config.json": NAMED, "added_tokens.json": {"<|im_start|>": N, "<|im_end|>": N + 1, "<|a|>": N + 2},
        "special_tokens_map.json": {"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}},
    "added_tokens.json, some special by extra_special_tokens": {
        "tokenizer_config.json": {**NAMED, "extra_special_tokens": ["<|im_start|>"]}, "added_tokens.json": {"<|im_end|>": N, "<|im_start|>": N + 1}},
    "added_tokens_decoder": {"tokenizer_config.json": {**NAMED, "added_tokens_decoder": {
        "0": plain("<s>", special=True), "1": plain("</s>", special=True), str(N): plain("<|im_start|>", special=True),
        str(N + 1): plain("<|a|>", lstrip=True), str(N + 2): plain("<|b|>", rstrip=True), str(N + 3): plain("<|c|>", normalized=True)}}},
    "added_tokens_decoder out of order, with a gap": {"tokenizer_config.json": {**NAMED, "added_tokens_decoder": {
        str(N + 7): plain("<|im_start|>", special=True), str(N + 3): plain("<|a|>")}}},
    "added_tokens_decoder against the map": {
        "tokenizer_config.json": {**NAMED, "added_tokens_decoder": {str(N): plain("<|im_end|>", special=True)}},
        "special_tokens_map.json": {"eos_token": "<|im_end|>", "pad_token": "<pad>"}, "added_tokens.json": {"<|a|>": N}},
    "added_tokens_decoder changes flags": {"tokenizer_config.json": {**NAMED, "added_tokens_decoder": {
        str(N - 1): plain("<|tool|>", special=True, lstrip=True)}}},
    "added_tokens_decoder without special of a special": {"tokenizer_config.json": {**NAMED, "added_tokens_decoder": {"1": plain("</s>")}}},
    "added_tokens_decoder, a named one not special": {"tokenizer_config.json": {**NAMED, "pad_token": "<pad>", "added_tokens_decoder": {
        str(N): plain("<pad>"), str(N + 1): plain("<|a|>", special=True)}}},
    "additional_special_tokens": {"tokenizer_config.json": {**NAMED, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}},
    "additional_special_tokens as objects": {"tokenizer_config.json": {**NAMED, "additional_special_tokens": [
        {**plain("<|a|>", lstrip=True), "__type": "AddedToken"}, {**plain("<|b|>", rstrip=True, special=True), "__type": "AddedToken"}]}},
    "additional_special_tokens of the map": {"tokenizer_config.json": NAMED, "special_tokens_map.json": {"additional_special_tokens": ["<|a|>", "<|b|>"]}},
    "additional_special_tokens in the vocabulary": {"tokenizer_config.json": {**NAMED, "additional_special_tokens": ["old", "<|tool|>", "<|b|>"]}},
    "extra_special_tokens": {"tokenizer_config.json": {**NAMED, "extra_special_tokens": ["<extra>", "<|a|>"]}},
    "extra_special_tokens beside additional": {"tokenizer_config.json": {**NAMED, "extra_special_tokens": ["<extra>"], "additional_special_tokens": ["<|a|>"]}},
    "extra_special_tokens empty beside additional": {"tokenizer_config.json": {**NAMED, "extra_special_tokens": [], "additional_special_tokens": ["<|a|>"]}},
    "extra_special_tokens by name": {"tokenizer_config.json": {**NAMED, "extra_special_tokens": {"image_token": "<image>", "tool_token": "<|tool|>"}}},
    "extra_special_tokens of the map": {"tokenizer_config.json": {**NAMED, "extra_special_tokens": ["<|a|>"]}, "special_tokens_map.json": {"extra_special_tokens": ["<extra>", "<|a|>"]}},
    "a token with a name of its own": {"tokenizer_config.json": {**NAMED, "image_token": "<image>"}},
    "a new pad_token": {"tokenizer_config.json": {**NAMED, "pad_token": "[PAD]"}},
    "a new pad_token as an object": {"tokenizer_config.json": {**NAMED, "pad_token": {**plain("<pad>", rstrip=True), "__type": "AddedToken"}}},
    "a new pad_token in the map": {"tokenizer_config.json": NAMED, "special_tokens_map.json": {"pad_token": plain("<pad>", lstrip=True)}},
    "pad_token is an ordinary entry": {"tokenizer_config.json": {**NAMED, "pad_token": "the"}},
    "pad_token is in no file's vocabulary but the map's": {"tokenizer_config.json": {**NAMED, "extra_special_tokens": ["<pad>"]}, "special_tokens_map.json": {"pad_token": "<pad>"}},
    "pad_token is an added token": {"tokenizer_config.json": {**NAMED, "pad_token": "<|tool|>"}},
    "new names of every kind": {"tokenizer_config.json": {**CLASS, "bos_token": "<|a|>", "eos_token": "<|b|>", "unk_token": "<unk>", "sep_token": "<sep>", "pad_token": "<pad>", "cls_token": "<|c|>", "mask_token": "<|d|>"}},
    "the map against the config": {"tokenizer_config.json": NAMED, "special_tokens_map.json": {"eos_token": "<|im_end|>", "bos_token": {**plain("<s>")}}},
    "only the map": {"special_tokens_map.json": {"eos_token": "</s>", "pad_token": "</s>"}},
    "both files of an older save": {
        "tokenizer_config.json": {**NAMED, "additional_special_tokens": ["<|a|>"]},
        "special_tokens_map.json": {"eos_token": plain("</s>"), "additional_special_tokens": ["<|b|>"]}, "added_tokens.json": {"<|a|>": N, "<|c|>": N + 1}},
    "names against an object of extra tokens": {"tokenizer_config.json": {**NAMED, "extra_special_tokens": {"image_token": "<image>"}, "additional_special_tokens": ["<|a|>"]},
        "special_tokens_map.json": {"audio_token": "<|b|>"}},
    "a class with names of its own": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer"}},
    "null names": {"tokenizer_config.json": {**NAMED, "pad_token": None, "unk_token": None}},
}
MODEL_CASES = {
    "model: no config": {},
    "model: additional_special_tokens": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": False, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}},
    "model: added_tokens.json": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": False}, "added_tokens.json": {"<|im_start|>": 600, "<|im_end|>": 601},
        "special_tokens_map.json": {"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}},
    "model: added_tokens.json, ordinary": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": False}, "added_tokens.json": {"<|a|>": 600, "<|b|>": 601}},
    "model: added_tokens_decoder": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": False, "added_tokens_decoder": {
        "0": plain("<unk>", special=True), "1": plain("<s>", special=True), "2": plain("</s>", special=True), "600": plain("<|im_start|>", special=True), "601": plain("<|a|>", lstrip=True)}}},
    "model: a new pad_token": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": False, "pad_token": "[PAD]"}},
    "model: extra_special_tokens": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": False, "extra_special_tokens": ["<extra>", "<|a|>"]}},
    "model: no class, a new EOS": {"tokenizer_config.json": {"add_bos_token": True, "eos_token": "<|im_end|>"}},
    "model: EOS that is new": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": True, "legacy": False, "eos_token": "<|im_end|>"}},
    "model: EOS": {"tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": False, "add_eos_token": True, "legacy": False}},
}


def texts_of(kind):
    """LlamaTokenizer of transformers 5 forgets SentencePiece's user-defined pieces where a folder names further tokens."""
    return [t for t in TEXTS if kind == "json" or "<sep>" not in t]


def folder_of(within, files, kind):
    if kind == "json":
        base().save(str(within / "tokenizer.json"), pretty=False)
    else:
        shutil.copy(HERE / "sentencepiece" / "bpe.model", within / "tokenizer.model")
    (within / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    for name, content in files.items():
        (within / name).write_text(json.dumps(content))


def case(name, files, kind):
    with tempfile.TemporaryDirectory() as folder:
        folder_of(Path(folder), files, kind)
        t = transformers.AutoTokenizer.from_pretrained(folder)
        added = {i: a for i, a in t.added_tokens_decoder.items()}
        skipped = [i for i in range(len(t) + 12) if t.convert_ids_to_tokens(i) is not None and t._tokenizer.decode([i], skip_special_tokens=True) == "" and t._tokenizer.decode([i], skip_special_tokens=False) != ""]
        return {
            "name": name, "kind": kind, "files": files, "class": type(t).__name__, "length": len(t),
            "ids": [t.encode(x) for x in texts_of(kind)], "bare": [t.encode(x, add_special_tokens=False) for x in texts_of(kind)],
            "added": [{"id": i, "content": a.content, "special": a.special} for i, a in sorted(added.items())], "skipped": skipped,
            "named": {k: [v, t.convert_tokens_to_ids(v)] for k, v in t.special_tokens_map.items() if isinstance(v, str)},
        }


if __name__ == "__main__":
    cases = [case(n, f, "json") for n, f in JSON_CASES.items()] + [case(n, f, "model") for n, f in MODEL_CASES.items()]
    content = {
        "made_by": {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__, "sentencepiece": sentencepiece.__version__},
        "texts": TEXTS, "base": json.loads(base().to_str()), "cases": cases,
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    (HERE / "beside.json").write_text(text + "\n", encoding="utf-8")
    print("beside.json", len(text))
    for c in cases:
        print(c["name"], "|", c["class"], c["length"], [(a["id"], a["content"], a["special"]) for a in c["added"]], c["skipped"], c["named"])
