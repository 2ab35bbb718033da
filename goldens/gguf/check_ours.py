"""Opens GGUFs that we wrote with other programs and says whether they compute the same as the folder.

For each pair FOLDER FILE: transformers reads the folder, and the file (its own reader of GGUF, through gguf-py); with
--llama llama.cpp decodes both prompts greedily, by llama-cpp-python. Prints one line a pair: the largest difference of
logits relative to the largest logit, or of greedy tokens how many agree.

llama.cpp keeps keys and values in float32 here: in float16, its default, logits are off by 1e-3.

Run: python check_ours.py [--llama] FOLDER FILE [FOLDER FILE ...]   (needs transformers, torch, gguf; llama_cpp)
"""
import sys
from pathlib import Path

import gguf
import torch
from transformers import AutoModelForCausalLM

arguments = [a for a in sys.argv[1:] if a != "--llama"]
PROMPT = [1, 5, 9, 3, 12, 7, 20, 4]
STEPS = 16

for folder, file in zip(arguments[::2], arguments[1::2]):
    reader = gguf.GGUFReader(file)
    types = sorted({t.tensor_type.name for t in reader.tensors})
    ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = ours(torch.tensor([PROMPT])).logits[0]
    greedy = ours.generate(torch.tensor([PROMPT]), max_new_tokens=STEPS, do_sample=False, eos_token_id=None)[0][len(PROMPT):].tolist()
    said = []
    if "--llama" in sys.argv:
        from llama_cpp import Llama
        try:
            model = Llama(file, n_ctx=64, logits_all=True, verbose=False, n_threads=1, type_k=0, type_v=0)
        except ValueError as error:
            print(f"{Path(folder).name}: llama.cpp refuses it: {error}", flush=True)
            continue
        model.eval(PROMPT)
        got = torch.tensor(model.scores[:len(PROMPT)])
        tokens, text = list(PROMPT), []
        for _ in range(STEPS):
            model.reset(); model.eval(tokens)
            text.append(int(model.scores[len(tokens) - 1].argmax())); tokens.append(text[-1])
        model.close()
        same = next((i for i, (a, b) in enumerate(zip(text, greedy)) if a != b), STEPS)
        said.append(f"llama.cpp: logits {((got - expected).abs().max() / expected.abs().max()).item():.2e}, greedy {same}/{STEPS}")
    else:
        path = Path(file)
        theirs = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
        with torch.no_grad():
            got = theirs(torch.tensor([PROMPT])).logits[0]
        said.append(f"transformers: logits {((got - expected).abs().max() / expected.abs().max()).item():.2e}")
    print(f"{Path(folder).name}: {', '.join(types)}; {'; '.join(said)}", flush=True)
