"""What llama.cpp says of GGUFs that we wrote: of each FOLDER/<name>.gguf of ours.ts the tokens of some prompts, by the file's own
vocabulary, and their greedy text. Into llama-cpp.json, which keeps what it says of others.

Keys and values are kept in float32: in float16, llama.cpp's default, logits are off by 1e-3.

Run: npx tsx goldens/gguf/ours.ts FOLDER; python goldens/gguf/make_llama_cpp.py FOLDER   (needs llama-cpp-python, numpy)
"""
import json, sys
from importlib.metadata import version
from pathlib import Path

import llama_cpp

PROMPTS = ["It was a truth", "She walked to the window, and", "Emma Woodhouse"]
STEPS = 16
FLOAT32 = 0

kept = Path(__file__).with_name("llama-cpp.json")
models = json.loads(kept.read_text())["models"] if kept.exists() else {}
for path in sorted(Path(sys.argv[1]).glob("*.gguf")):
    model = llama_cpp.Llama(str(path), n_ctx=256, logits_all=True, verbose=False, n_threads=1, type_k=FLOAT32, type_v=FLOAT32)
    answers = []
    for prompt in PROMPTS:
        asked = model.tokenize(prompt.encode(), add_bos=False)
        tokens, margins = list(asked), []
        model.reset()
        model.eval(asked)
        for _ in range(STEPS):
            logits = model.scores[len(tokens) - 1]
            best, second = sorted(logits)[:-3:-1]
            margins.append(float((best - second) / abs(logits).max()))
            tokens.append(int(logits.argmax()))
            model.eval(tokens[-1:])
        said = tokens[len(asked):]
        text = model.detokenize(said).decode(errors="replace")
        answers.append({"prompt": asked, "tokens": said, "text": text, "margin": round(min(margins), 6)})
    model.close()
    models[path.stem] = answers
    print(path.stem, repr(answers[0]["text"]), min(a["margin"] for a in answers), flush=True)
out = {"versions": {"llama-cpp-python": version("llama-cpp-python")}, "prompts": PROMPTS, "models": models}
lines = json.dumps(out, indent=1, ensure_ascii=False)
kept.write_text(lines + "\n")
