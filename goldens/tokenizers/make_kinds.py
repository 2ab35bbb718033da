"""Goldens for every kind of tokenizer file: small vocabularies trained here, ids by transformers and SentencePiece.

usage: make_kinds.py PAPER_JSON        (paper.json: the paper's key phrases)

kinds/texts.json        texts shared by all: the paper's keys, scripts, code, special tokens in every position; and texts
                        of 100 kB by rule (`unit` repeated `count` times), of which only a digest is kept.
kinds/<kind>/           tokenizer.json + tokenizer_config.json; golden.json has ids by transformers' AutoTokenizer-less
                        PreTrainedTokenizerFast.from_pretrained, with and without special tokens, and decoded texts.
sentencepiece/<name>.model with <name>.json: ids by sentencepiece itself; Unigram's by transformers' conversion, with a
                        list of the texts where the two differ.
sentencepiece/gguf.json the metadata llama.cpp's converter would write for bpe.model; ids by sentencepiece, stretch by
                        stretch between the special and user-defined tokens, as llama.cpp cuts them.
"""
import hashlib
import json
import re
import struct
import sys
import tempfile
from pathlib import Path

import sentencepiece as spm
import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from make import LLAMA3, corpus

HERE = Path(__file__).parent
KINDS, PIECES = HERE / "kinds", HERE / "sentencepiece"
MADE_BY = {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__, "sentencepiece": spm.__version__}
SPECIAL = [
    "<s>", "</s>a", "a</s>", "a <s> b", " <s> ", "<s><s>", "x</s>\n</s> y", "<unk>", "a<sep>b", "<sep>b", "a <sep> b",
    "<left> a", "a <left>b", "a<right>  b", "word", "a word b", "awordb", "word,word", "sword word", "NoRm norm", "norm", "a  norm b",
    "<0x41>", "▁", "▁a", "a▁b", " ▁ ", "aaaaaaaa aaa aa a", "abababab", "  12  12", "ﬁ ｆｕｌｌ ①", "  two  spaces  ", "a\u3000b",
]
LONG = [
    {"unit": "The quick brown fox, 12 345 — ハリネズミ! ", "count": 2500},
    {"unit": "a", "count": 100_000},
    {"unit": "def f(x):\n    return x ** 2\n\n", "count": 3600},
    {"unit": "😀Привет", "count": 10_000},
]


def digest(ids):
    return {"count": len(ids), "sha256": hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")
    print(path.relative_to(HERE), len(text.encode()))


def flagged():
    """Added tokens with each flag."""
    return [
        AddedToken("<left>", lstrip=True, normalized=False, special=False), AddedToken("<right>", rstrip=True, normalized=False, special=False),
        AddedToken("word", single_word=True, normalized=False, special=False), AddedToken("norm", normalized=True, special=False),
    ]


def kind(name, tokenizer, config, texts):
    folder = KINDS / name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write(folder / "tokenizer_config.json", config)
    loaded = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
    with_special = [loaded.encode(t) for t in texts]
    write(folder / "golden.json", {
        "made_by": MADE_BY, "ids": with_special, "bare": [loaded.encode(t, add_special_tokens=False) for t in texts],
        "decoded": [loaded.decode(r, skip_special_tokens=False, clean_up_tokenization_spaces=False) for r in with_special],
        "long": [digest(loaded.encode(x["unit"] * x["count"])) for x in LONG],
    })


def byte_level(texts):
    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), raw])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(texts * 3, trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=["<s>", "</s>"]))
    t.add_tokens(flagged())
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0), ("</s>", 1)]),
    ])
    # transformers ignores add_bos_token where there is a tokenizer.json; so must we
    return t, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}


def merges_of(sp):
    """As transformers' converter of LLaMA's vocabulary: pairs of pieces whose union is one, in the order of its score."""
    vocab = {sp.id_to_piece(i): i for i in range(sp.get_piece_size())}
    out = []
    for piece, i in vocab.items():
        local = [(piece[:n], piece[n:]) for n in range(1, len(piece)) if piece[:n] in vocab and piece[n:] in vocab]
        out += [(a, b, sp.get_score(i)) for a, b in sorted(local, key=lambda x: (vocab[x[0]], vocab[x[1]]))]
    return vocab, [(a, b) for a, b, _ in sorted(out, key=lambda x: x[2], reverse=True)]


def byte_fallback(sp, legacy):
    vocab, merges = merges_of(sp)
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in ("<unk>", "<s>", "</s>")])
    t.add_tokens(flagged())
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t, {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "legacy": legacy}


def unigram(texts):
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    t.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    t.train_from_iterator(texts * 3, trainers.UnigramTrainer(
        vocab_size=500, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>"))
    t.add_tokens(flagged())
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    return t, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "unk_token": "<unk>"}


def train(folder, texts, name, size, **options):
    lines = Path(folder) / "lines.txt"
    lines.write_text("\n".join(t.replace("\n", " ").replace("\0", "") for t in texts * 3), encoding="utf-8")
    spm.SentencePieceTrainer.train(
        input=str(lines), model_prefix=str(Path(folder) / name), vocab_size=size, character_coverage=0.98, minloglevel=2, num_threads=1,
        hard_vocab_limit=options.get("model_type") == "bpe", **options)
    data = (Path(folder) / f"{name}.model").read_bytes()
    PIECES.mkdir(parents=True, exist_ok=True)
    (PIECES / f"{name}.model").write_bytes(data)
    sp = spm.SentencePieceProcessor(model_proto=data)
    # sentencepiece does not know special tokens in text, the tokenizers of a model do: left to the golden of gguf.json
    plain = [t for t in texts if not re.search(r"</?s>|<unk>", t)]
    encode = (lambda t: sp.encode(t)) if options["model_type"] == "bpe" else by_transformers(data)
    ids = [encode(t) for t in plain]
    write(PIECES / f"{name}.json", {
        "made_by": MADE_BY, "texts": plain, "ids": ids, "decoded": [sp.decode(i) for i in ids],
        "sentencepiece_differs": [t for t, i in zip(plain, ids) if sp.encode(t) != i],
        "long": [digest(encode(x["unit"] * x["count"])) for x in LONG],
    })
    return sp


def by_transformers(data):
    """Unigram ids by transformers' conversion: tokenizers adds scores in float64, SentencePiece in float32, so that equally
    good ways of cutting (`!!!` as `!!` `!`) are chosen otherwise; and it takes `<0x41>` in text for the byte."""
    from transformers.convert_slow_tokenizer import SpmConverter, import_protobuf

    proto = import_protobuf().ModelProto()
    proto.ParseFromString(data)
    built = SpmConverter.build_tokenizer_from_spm_proto(proto, [(p.piece, p.score) for p in proto.pieces])
    return lambda text: built.encode(text).ids


def gguf(sp, texts):
    count = sp.get_piece_size()
    def kind_of(i):
        if sp.is_unknown(i): return 2
        if sp.is_control(i): return 3
        if sp.is_byte(i): return 6
        return 4 if sp.id_to_piece(i) in ("<sep>",) else 1
    pieces = [sp.id_to_piece(i) for i in range(count)]
    types = [kind_of(i) for i in range(count)]
    stops = [p for p, t in zip(pieces, types) if t in (2, 3, 4)]
    def ids(text):
        out = []
        for part in re.split("(" + "|".join(map(re.escape, sorted(stops, key=len, reverse=True))) + ")", text):
            out += [pieces.index(part)] if part in stops else sp.encode(part)
        return out
    write(PIECES / "gguf.json", {
        "made_by": MADE_BY,
        "metadata": {
            "general.architecture": "llama", "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": pieces,
            "tokenizer.ggml.scores": [sp.get_score(i) for i in range(count)], "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
        },
        "texts": texts, "ids": [ids(t) for t in texts],
    })


if __name__ == "__main__":
    texts = corpus(json.loads(Path(sys.argv[1]).read_text())["key_phrases"]) + SPECIAL
    write(KINDS / "texts.json", {"texts": texts, "long": LONG})
    with tempfile.TemporaryDirectory() as folder:
        plain = dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                     split_digits=True, allow_whitespace_only_pieces=True)
        bpe = train(folder, texts, "bpe", 600, user_defined_symbols=["<sep>"], **plain)
        train(folder, texts, "bpe-user", 600, user_defined_symbols=["<sep>", "▁▁", "▁▁▁", "12"], **plain)
        rules = Path(folder) / "rules.tsv"
        rules.write_text("FB01\t66 69\nFF46\t66\nFF55\t75\nFF4C\t6C\n3000\t20\n2460\t31\n")
        train(folder, texts, "unigram", 600, model_type="unigram", normalization_rule_tsv=str(rules))
        train(folder, texts, "unigram-bytes", 700, model_type="unigram", byte_fallback=True, normalization_rule_name="identity",
              remove_extra_whitespaces=False)
    gguf(bpe, texts)
    kind("byte-level", *byte_level(texts), texts)
    kind("byte-fallback", *byte_fallback(bpe, True), texts)
    kind("byte-fallback-first", *byte_fallback(bpe, False), texts)
    kind("unigram", *unigram(texts), texts)
