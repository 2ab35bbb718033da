"""What transformers says of texts of several tiles of attention, some of which begin alike.

Run: python goldens/models/make_long.py   (torch, transformers)
Reads the tiny models beside this file, writes long.json: of each model five texts (their tokens as `make_text` makes them)
and the log-probability of every fifth token and of the last twenty.
"""
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

HERE = Path(__file__).parent
# By what their attention has: groups; windows; caps and windows; windows and two ropes; slopes; rounded slopes; classes of
# distances; nothing rotary.
MODELS = ["llama-gqa", "mistral-window", "gemma2", "gemma3", "bloom", "falcon-rw", "t5", "gpt2"]


def make_text(vocab, seed, length):
    """Numbers that JavaScript makes as well: x → 75x + 74 mod 65537."""
    out, x = [], seed
    for _ in range(length):
        x = (75 * x + 74) % 65537
        out.append(2 + x % (vocab - 2))
    return out


def texts(vocab, most):
    """Four that leave the same beginning at 7/10 of the longest, with a last one of a whole number of tiles."""
    begin = make_text(vocab, 1, 7 * most // 10)
    ends = [3, most // 10, 2 * most // 10, most - len(begin)]
    return [begin + make_text(vocab, 10 + i, n) for i, n in enumerate(ends)] + [make_text(vocab, 99, 64)]


def main():
    torch.set_num_threads(1)
    out = {}
    for name in MODELS:
        folder = HERE / name
        seq2seq = name.startswith("t5")
        kind = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
        # Eager Falcon adds its slopes twice, see make_family.py.
        way = "sdpa" if name.startswith("falcon") else "eager"
        model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation=way).double().eval()
        most = min(230, getattr(model.config, "n_positions", 230) if name == "gpt2" else 230)
        rows = []
        for tokens in texts(model.config.vocab_size, most):
            ids = torch.tensor([tokens])
            given = dict(input_ids=torch.tensor([make_text(model.config.vocab_size, 5, 9)]), decoder_input_ids=ids) \
                if seq2seq else dict(input_ids=ids)
            with torch.no_grad():
                logits = model(**given, use_cache=False).logits[0]
            logprobs = logits.log_softmax(-1)[:-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
            kept = [i for i in range(len(logprobs)) if i % 5 == 0 or i >= len(logprobs) - 20]
            rows.append([len(tokens), kept, [round(logprobs[i], 6) for i in kept]])
        out[name] = {"most": most, "texts": rows}
    golden = {"made_by": "goldens/models/make_long.py",
              "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}}
    lines = [f'  "{name}": ' + json.dumps(model, separators=(",", ":")) for name, model in out.items()]
    (HERE / "long.json").write_text(json.dumps(golden)[:-1] + ', "models": {\n' + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    main()
