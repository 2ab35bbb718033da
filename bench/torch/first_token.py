"""The peer of first-token.ts: the greedy token after a prompt, printed as it is there. --with transformers (a folder or a GGUF, float32)
or llama-cpp (a GGUF, as llama-cpp-python opens it by itself)."""
import argparse

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("model")
p.add_argument("prompt")
p.add_argument("--with", dest="library", choices=["transformers", "llama-cpp"], required=True)
p.add_argument("--threads", type=int, default=2)
args = p.parse_args()

if args.library == "llama-cpp":
    import llama_cpp

    model = llama_cpp.Llama(args.model, n_ctx=512, n_threads=args.threads, n_threads_batch=args.threads, verbose=False)
    print(model.create_completion(args.prompt, max_tokens=1, temperature=0)["choices"][0]["text"], flush=True)
else:
    import torch
    from measure import open_model, start

    args.seed = 42
    start(args)
    model, tokenizer = open_model(args.model)
    with torch.inference_mode():
        ids = tokenizer(args.prompt, return_tensors="pt").input_ids
        print(tokenizer.decode(model(ids).logits[0, -1].argmax()), flush=True)
