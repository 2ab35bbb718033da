"""The training steps of `bench/steps.ts` in torch: same batches, labels, reference positions and optimiser.

Written as one would by hand: prefixes run once without gradients and come in as a padded cache, what follows is padded
to the longest, logits for label rows only, the embedding's trained rows replaced by a parameter.
"""
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import DynamicCache

import measure

p = measure.arguments(__doc__)
p.add_argument("--model", required=True)
p.add_argument("--dump", required=True)
a = p.parse_args()
measure.start(a)
started = time.time()
dump = Path(a.dump)
plan = json.loads((dump / "steps.json").read_text())
s, ids = plan["settings"], torch.tensor(plan["ids"])
model, _ = measure.open_model(a.model)
model.requires_grad_(False)
E0 = model.model.embed_tokens.weight
V, E = E0.shape
R = len(ids)


def raw(name, shape, dtype=np.float32):
    path = dump / name
    return torch.from_numpy(np.fromfile(path, dtype=dtype).reshape(shape)) if path.exists() else None


vanilla, metric = raw("rows.bin", (R, E)), raw("metric.bin", (E, E))
hidden, weight = raw("hidden.bin", (-1, E)), raw("weight.bin", -1)
probability = raw("probability.bin", (-1, R))
A, B, scale = raw("A.bin", (-1, E)), raw("B.bin", (E, -1)), plan["scale"]
of = raw("groups.bin", -1, np.int32)
row_of = torch.full((V,), -1)
row_of[ids] = torch.arange(R)
own = torch.zeros(R, E, requires_grad=True)
parameters = [own]
if of is not None:
    common = torch.zeros(int(of.max()) + 1, E, requires_grad=True)
    parameters.append(common)
optimiser = torch.optim.AdamW(parameters, lr=s["lr"], betas=(0.9, s["beta2"]), weight_decay=0.0)
caches = {}


def prefix_cache(prefixes):
    """Each prefix' keys and values, computed once; right-padded to the longest."""
    for tokens in {tuple(t) for t in prefixes if t} - caches.keys():
        with torch.no_grad():
            out = model.model(input_ids=torch.tensor([tokens]), use_cache=True).past_key_values
        caches[tokens] = [(layer.keys[0], layer.values[0]) for layer in out.layers]
    longest = max(map(len, prefixes))
    if longest == 0:
        return None, 0
    layers = model.config.num_hidden_layers
    K, D = model.config.num_key_value_heads, model.config.head_dim
    cache = DynamicCache()
    for layer in range(layers):
        k, v = torch.zeros(len(prefixes), K, longest, D), torch.zeros(len(prefixes), K, longest, D)
        for b, tokens in enumerate(prefixes):
            if tokens:
                k[b, :, :len(tokens)], v[b, :, :len(tokens)] = caches[tuple(tokens)][layer]
        cache.update(k, v, layer)
    return cache, longest


def step(batch):
    change = own if of is None else own + common[of.long()]
    if metric is not None:
        change = change @ metric
    rows = vanilla + change
    n, S = len(batch), max(len(e["tokens"]) for e in batch)
    cache, P = prefix_cache([e["prefix"] for e in batch])
    tokens, here = torch.zeros(n, S, dtype=torch.long), torch.zeros(n, S)
    before, positions = torch.zeros(n, P), torch.zeros(n, S, dtype=torch.long)
    for b, e in enumerate(batch):
        m = len(e["tokens"])
        tokens[b, :m], here[b, :m] = torch.tensor(e["tokens"]), 1
        before[b, :len(e["prefix"])] = 1
        positions[b] = torch.arange(S) + len(e["prefix"])
    r = row_of[tokens]
    known = (r >= 0) & torch.tensor([e["variant"]["rows"] for e in batch])[:, None]
    x = torch.where(known[..., None], rows[r.clamp(min=0)], E0[tokens])
    if A is not None:
        on = (r >= 0) & torch.tensor([e["variant"]["adapter"] for e in batch])[:, None]
        x = x + on[..., None] * scale * (x @ A.T @ B.T)
    h = model.model(inputs_embeds=x, attention_mask=torch.cat([before, here], 1).long(), position_ids=positions,
                    past_key_values=cache, use_cache=cache is not None).last_hidden_state
    where = [(b, label) for b, e in enumerate(batch) for label in e["labels"]]
    h = h[[b for b, _ in where], [label["row"] for _, label in where]]
    logits = h @ E0.T
    on = torch.tensor([batch[b]["variant"]["rows"] for b, _ in where])
    own_logits = h @ rows.T
    logits = logits.index_copy(1, ids, torch.where(on[:, None], own_logits, logits[:, ids]))
    logprobs = F.log_softmax(logits, -1)
    pick = lambda name: logprobs.gather(1, torch.tensor([label.get(name, label["token"]) for _, label in where])[:, None])[:, 0]
    first, second = pick("token"), pick("alternative")
    both = torch.tensor(["alternative" in label for _, label in where])
    logp = torch.where(both, torch.logaddexp(first, second), first)
    w = torch.tensor([label["weight"] for _, label in where])
    fire = torch.tensor([label["kind"] == "fire" for _, label in where])
    loss = -(w * fire * (1 - s["focus"] * logp.exp()) * logp).sum()
    loss = loss - (w * ~fire * torch.log(1 + 1e-6 - logp.exp())).sum()
    if hidden is not None:
        shift = hidden @ change.T
        mass = (probability * shift.exp()).sum(1)
        exact = torch.log1p(mass - probability.sum(1)) - (probability * shift).sum(1)
        guarded = torch.log1p(mass * float(np.exp(s["kl_margin"])))
        loss = loss + s["kl_weight"] * (weight * (exact + guarded)).sum()
        loss = loss + s["spread_weight"] * (weight * (shift * shift).mean(1)).sum()
    optimiser.zero_grad()
    loss.backward()
    if s["clip"]:
        torch.nn.utils.clip_grad_norm_(parameters, s["clip"])
    optimiser.step()
    return loss.item()


seconds = []
for batch in plan["batches"]:
    t = time.time()
    loss = step(batch)
    seconds.append(time.time() - t)
measure.report(started, seconds=seconds, last_loss=loss)
