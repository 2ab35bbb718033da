"""Goldens for byte-level BPE vocabularies that come out of a GGUF, by the Python package `tokenizers`.

usage: make.py PAPER_JSON FOLDER GGUF_FILE_NAME
  PAPER_JSON  the paper's constants (key phrases), for keys as the paper makes them
  FOLDER      holds SmolLM2-135M-Instruct as GGUF; transformers reads its vocabulary and merges

smollm2.json: ids of a nasty corpus under SmolLM2. transformers' GGUF conversion forgets that the official
tokenizer cuts digits apart first (Sequence[Digits(individual_digits), ByteLevel]), which changes texts with two or
more spaces before a digit; the golden follows the official one and lists where the conversion differs.
tiny.json: a made vocabulary of some hundred entries as GGUF metadata, and ids under each way of cutting text.
"""
import json
import random
import sys
from pathlib import Path

import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent


def corpus(phrases):
    rng = random.Random(42)
    keys = []
    for _ in range(4):
        joined = "".join(rng.choices(phrases, k=rng.randint(8, 15)))
        keys.append("".join(rng.sample(joined, len(joined))))
    return keys + [
        "", " ", "  ", "\n", "\n\n\n", "\t\t x", "a", " a", "A b  c   d    e", "trailing  ", "trailing \n", "\r\nline\r\n",
        "0", "1234567890", "3.14159", "room 101", "  12  34", "x  7", "1,000,000.00", "２０２６年", "Ⅷ ½ ²", "٣٤٥",
        "it's I'M we'Ll they've 'tis", "don''t", "Hello, world!", "ハリネズミ", "奉天承运皇帝诏曰", "日本語のテキスト、全角　空白",
        "한국어 텍스트", "Привет, мир! Как дела?", "ελληνικά Ϗ", "עברית עִבְרִית", "العربية ١٢٣", "हिन्दी क्षत्रिय", "ไทยแลนด์", "ქართული",
        "emoji 😀😃 👩‍👩‍👧‍👦 🇩🇪 ✌🏽", "e\u0301 vs \u00e9", "zero\u200bwidth \ufeffbom", "nul\u0000byte", "\u2028 \u00a0nbsp", "surrogate-ish \ufffd",
        "def f(x):\n    return x ** 2  # square\n", "for (let i = 0; i < 10; i++) {\n\tconsole.log(`${i}`);\n}\n", "<p class=\"a\">&nbsp;</p>",
        "SELECT * FROM t WHERE a='b' -- c", "https://example.org/a?b=c&d=%20#e", "C:\\Users\\x\\n", "\\frac{1}{2}\\int_0^\\infty e^{-x^2}dx",
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<|im_start|", "a<|endoftext|>b", "<repo_name>x<empty_output>", "<|im_end|><|im_end|>",
        "aaaaaaaaaa" * 30, "word " * 60, " " * 100, "\n \n  \n   ", "!!!???...---___***", "__proto__ constructor", "MixedCASEtoken snake_case camelCase",
    ]


def smollm2(phrases, folder, name):
    converted = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name).backend_tokenizer
    official = Tokenizer.from_str(converted.to_str())
    official.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    rows, differ = [], []
    for text in corpus(phrases):
        ids = official.encode(text).ids
        rows.append({"text": text, "ids": ids, "decoded": official.decode(ids, skip_special_tokens=False)})
        if converted.encode(text).ids != ids:
            differ.append(text)
    return {"vocab_size": official.get_vocab_size(), "rows": rows, "conversion_differs": differ}


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def tiny(phrases):
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    cuts = {
        "gpt-2": (words, None, False),
        "smollm": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words]), None, False),
        "llama-bpe": (pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), raw]), None, True),
        "qwen2": (pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), raw]), normalizers.NFC(), False),
    }
    texts = [t for t in corpus(phrases) if len(t) < 90]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = words
    learner.decoder = decoders.ByteLevel()
    learner.train_from_iterator(
        texts * 3 + ["  12 345 678  9 10 2026 12 345"] * 20,
        trainers.BpeTrainer(
            vocab_size=460, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
            special_tokens=["<unk>", "<s>", "</s>", "__proto__"],
        ),
    )
    state = json.loads(learner.to_str())["model"]
    tokens = [t for t, _ in sorted(state["vocab"].items(), key=lambda kv: kv[1])]
    merges = [" ".join(m) if isinstance(m, list) else m for m in state["merges"]]
    metadata = {
        "general.architecture": "llama", "llama.context_length": 64, "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.token_type": [3, 3, 3, 4] + [1] * (len(tokens) - 4),
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 2, "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
    }
    ids = {}
    for name, (pre, normalizer, ignore) in cuts.items():
        tok = Tokenizer(models.BPE(vocab=state["vocab"], merges=[tuple(m.split(" ")) for m in merges], ignore_merges=ignore))
        tok.pre_tokenizer, tok.decoder = pre, decoders.ByteLevel()
        if normalizer is not None:
            tok.normalizer = normalizer
        tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in tokens[:3]])
        tok.add_tokens([AddedToken(tokens[3], normalized=False, special=False)])
        ids[name] = [tok.encode(t).ids for t in texts]
    return {"metadata": metadata, "texts": texts, "ids": ids}


if __name__ == "__main__":
    paper, folder, name = sys.argv[1:]
    phrases = json.loads(Path(paper).read_text())["key_phrases"]
    made_by = {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__}
    for file, content in (("smollm2.json", smollm2(phrases, folder, name)), ("tiny.json", tiny(phrases))):
        text = json.dumps({"made_by": made_by, **content}, ensure_ascii=False, separators=(",", ":"))
        (HERE / file).write_text(text + "\n", encoding="utf-8")
        print(file, len(text.encode()))
