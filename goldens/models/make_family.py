"""Tiny random models of any family with what transformers says about them.

Run: python goldens/models/make_family.py FILE.json [name ...]   (torch, transformers, safetensors)
FILE is one of variants/: name -> {"config": config.json of the model, and what may differ from DEFAULTS below}.
Each folder holds a model as transformers saves it, golden.json and golden.safetensors, as make.py's do.
"""
import json
import shutil
import sys
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForSeq2SeqLM

HERE = Path(__file__).parent
# `rename`: config.json as older transformers wrote it, {new key: old key}; `set`: keys put into config.json as they are;
# `lengths`: of the prompts; `attention`: whose result counts (transformers' eager Falcon adds its slopes twice);
# `sees`: a model that transformers knows as one of images and text only;
# `source_lengths`: of what an encoder-decoder reads, beside each prompt of its decoder; `own_head`: a head of its own,
# where transformers ties any that the folder does not bring;
# `prefixes`: {beginning of a tensor's name: what it is in the file}; `buffers`: {name: shape} that older versions stored.
DEFAULTS = {"seed": 1, "dtype": "float32", "gradients": True, "new_tokens": 40, "lengths": [24, 9, 3], "rename": {},
            "set": {}, "drop": [], "attention": "eager", "prefixes": {}, "buffers": {},
            "sees": False, "source_lengths": None, "own_head": False}


def auto(v):
    if v["source_lengths"]:
        return AutoModelForSeq2SeqLM
    return AutoModelForImageTextToText if v["sees"] else AutoModelForCausalLM


def build(v):
    torch.manual_seed(v["seed"])
    config = AutoConfig.for_model(**v["config"])
    model = auto(v).from_config(config, attn_implementation="eager").float()
    # Wider values than transformers' own start, so that a wrong scale, sign or axis shows.
    with torch.no_grad():
        for name, p in model.named_parameters():
            norm = "norm" in name.lower() or "ln_" in name.lower()
            if norm and name.endswith("weight"):
                p.add_(0.3 * torch.randn_like(p))
            elif "embed" in name or "shared" in name or "lm_head" in name or "wte" in name:
                p.copy_(0.5 * torch.randn_like(p))
            else:
                p.copy_(0.25 * torch.randn_like(p))
            if name.endswith("Attention.q.weight"):  # nothing else scales T5's scores
                p.mul_(config.d_kv ** -0.5)
        model.tie_weights()
        if v["own_head"]:
            model.lm_head.weight = torch.nn.Parameter(0.5 * torch.randn_like(model.lm_head.weight))
    return model.to(getattr(torch, v["dtype"]))


def stored_parts(folder, model):
    """A parameter's names in the file, each with the part of it that lies there: transformers 5 calls some otherwise in
    memory, and keeps all experts of a layer in one tensor, gate and up joined. Found by equal values."""
    stored = {k: t for file in folder.glob("model*.safetensors") for k, t in load_file(file).items()}
    equal = lambda part: [k for k, t in stored.items() if t.shape == part.shape and torch.equal(t.float(), part)]
    whole = lambda p: p
    parts = {}
    for name, p in model.named_parameters():
        values = p.detach()
        found = [name] if name in stored else equal(values)
        if len(found) == 1:
            parts[name] = {found[0]: whole}
            continue
        assert not found and p.dim() == 3, (name, found)
        half, parts[name] = p.shape[1] // 2, {}
        for e in range(p.shape[0]):
            cuts = [lambda p, e=e: p[e]]
            if not equal(cuts[0](values)):
                cuts = [lambda p, e=e, half=half: p[e][:half], lambda p, e=e, half=half: p[e][half:]]
            for cut in cuts:
                [own] = equal(cut(values))
                parts[name][own] = cut
    assert sorted(k for own in parts.values() for k in own) == sorted(stored), "a stored tensor is nobody's"
    return parts


def prompts(v, vocab):
    generator = torch.Generator().manual_seed(v["seed"])
    made = [torch.randint(0, vocab, (n,), generator=generator).tolist() for n in v["lengths"]]
    made[1][2:5] = [made[1][2]] * 3  # repeated tokens: gradients of embedding rows are summed
    return made


def sources(v, vocab):
    """What an encoder-decoder reads, and its decoder's texts, which begin with the token that says so."""
    generator = torch.Generator().manual_seed(v["seed"] + 2)
    return [torch.randint(0, vocab, (n,), generator=generator).tolist() for n in v["source_lengths"]]


def golden(folder, v):
    """Loads the folder as anybody would, in float32 with eager attention."""
    load = lambda: auto(v).from_pretrained(folder, dtype=torch.float32,
                                           attn_implementation=v["attention"]).eval()
    model = load()
    vocab = model.config.get_text_config().vocab_size
    batch = prompts(v, vocab)
    read = sources(v, vocab) if v["source_lengths"] else None
    if read:
        assert (model.lm_head.weight is not model.get_input_embeddings().weight) == v["own_head"], "another head"
        batch = [[model.config.decoder_start_token_id] + ids[1:] for ids in batch]
    run = lambda model, ids, i: model(torch.tensor([ids]), use_cache=False) if not read else model(
        input_ids=torch.tensor([read[i]]), decoder_input_ids=torch.tensor([ids]), use_cache=False)
    generator = torch.Generator().manual_seed(v["seed"] + 1)
    labels = [[[p, int(torch.randint(0, vocab, (1,), generator=generator))] for p in range(len(ids) // 2, len(ids))]
              for ids in batch]
    tensors, rows, wanted = {}, [], []
    for i, (ids, own) in enumerate(zip(batch, labels)):
        # A model of its own for each sequence: some keep what the longest one before made them compute.
        single = load() if i > 0 else model
        out = run(single if not v["gradients"] else model, ids, i).logits[0]
        tensors[f"logits.{i}"] = out.detach().clone()
        rows.append(out[[p for p, _ in own]])
        wanted += [t for _, t in own]
    loss = torch.nn.functional.cross_entropy(torch.cat(rows), torch.tensor(wanted))
    loss.backward()
    parts = stored_parts(folder, model)
    parameters = sorted(k for name, p in model.named_parameters() if p.grad is not None for k in parts[name])
    if v["gradients"]:
        for name, p in model.named_parameters():
            if p.grad is not None:
                for stored, cut in parts[name].items():
                    tensors[f"grad.{stored}"] = cut(p.grad.detach()).clone()
    generated, margins = [], []
    for i, ids in enumerate(batch):
        single = load()
        given = read[i] if read else ids
        with torch.no_grad():
            out = single.generate(torch.tensor([given]), attention_mask=torch.ones(1, len(given), dtype=torch.long),
                                  do_sample=False, max_new_tokens=v["new_tokens"], min_new_tokens=v["new_tokens"],
                                  # Its cache fails where a decoder has more layers than the encoder.
                                  **({"use_cache": False} if read else {}), eos_token_id=[], pad_token_id=0, output_logits=True, return_dict_in_generate=True)
        top = torch.stack(out.logits)[:, 0].topk(2).values
        margins.append(float((top[:, 0] - top[:, 1]).min()))
        generated.append(out.sequences[0, 1 if read else len(ids):].tolist())
    return tensors, float(loss.detach()), generated, margins, batch, labels, parameters, read


def rewrite_weights(folder, v):
    if not v["prefixes"] and not v["buffers"]:
        return
    file = folder / "model.safetensors"
    tensors = {}
    for name, t in load_file(file).items():
        old = next((p for p in v["prefixes"] if name.startswith(p)), "")
        tensors[v["prefixes"].get(old, "") + name[len(old):]] = t
    for name, shape in v["buffers"].items():
        tensors[name] = torch.ones(shape)
    save_file(tensors, file, metadata={"format": "pt"})


def rewrite_config(folder, v):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    for new, old in v["rename"].items():
        if new in config:
            config[old] = config.pop(new)
    for key in v["drop"]:
        config.pop(key, None)
    config.update(v["set"])
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def make(name, variant, source):
    v = {**DEFAULTS, **variant}
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    build(v).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    rewrite_weights(folder, v)
    rewrite_config(folder, v)
    tensors, loss, generated, margins, batch, labels, parameters, read = golden(folder, v)
    save_file({k: t.contiguous() for k, t in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps({
        "made_by": f"goldens/models/make_family.py variants/{source}",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__,
                     "safetensors": safetensors.__version__},
        **({"source_ids": read} if read else {}), "input_ids": batch, "labels": labels, "loss": loss, "parameters": parameters, "new_tokens": v["new_tokens"],
        "generated": generated, "smallest_greedy_margin": margins,
    }, indent=1) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(name, f"{size} bytes", f"loss {loss:.6f}", f"margin {min(margins):.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    path = Path(sys.argv[1])
    variants = json.loads(path.read_text())
    for name in sys.argv[2:] or variants:
        make(name, variants[name], path.name)
