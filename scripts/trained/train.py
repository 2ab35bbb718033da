"""python scripts/trained/train.py TEXTS [FAMILY ...]: tiny trained models of families that are built differently, into
test/fixtures/trained (trained-encoder-decoder, seq2seq.py). TEXTS is the folder that texts.ts wrote. Needs torch, transformers, safetensors, numpy.

Each begins with what it can take of the embedded model (begin.py) and is then trained by transformers' own class, as long
as it takes until context helps it: a model that goes by the last token alone cannot be taught to answer a key. Rows of
tokens that no text uses stay alike, as in real models."""
import hashlib, json, shutil, sys, time
from pathlib import Path
import numpy as np, torch, transformers
import seq2seq
from begin import BEGIN, Embedded

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED, FIXTURES = ROOT / "assets/embedded/model", ROOT / "test/fixtures"
WARMUP, BLOCKS, BLOCK = 40, 8, 144
STREAMS = dict(prose=0.72, chats=0.14, languages=0.14)  # shares of the blocks
# Without code and formulas Gemma gives up to .7 of its probability there to tokens that no text uses.
OTHER_STREAMS = dict(gemma3_text=dict(prose=0.6, chats=0.14, languages=0.12, kinds=0.14))
ENDS = dict(bos_token_id=0, eos_token_id=0, pad_token_id=0)
LINE = dict(vocab_size=5120, hidden_size=192, intermediate_size=256, num_hidden_layers=3, num_attention_heads=6,
            num_key_value_heads=2, head_dim=32, max_position_embeddings=512, tie_word_embeddings=True, **ENDS)
# dtype, steps, rate, config. Only what tells these families apart is as in their published models.
CONFIGS = {
    "mistral": (torch.bfloat16, 300, 2e-3, dict(LINE, sliding_window=48)),
    "qwen3": (torch.bfloat16, 300, 2e-3, dict(LINE)),
    "gemma3_text": (torch.bfloat16, 400, 2e-3, dict(LINE, sliding_window=48, query_pre_attn_scalar=32,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"])),
    "gpt_neox": (torch.float16, 600, 3e-3, dict(vocab_size=5120, hidden_size=192, intermediate_size=384,
        num_hidden_layers=3, num_attention_heads=6, rotary_pct=0.25, max_position_embeddings=512,
        use_parallel_residual=True, tie_word_embeddings=False, **ENDS)),
    "gpt2": (torch.float16, 600, 3e-3, dict(vocab_size=5120, n_embd=192, n_inner=384, n_layer=3, n_head=6,
        n_positions=512, tie_word_embeddings=True, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, **ENDS)),
    "mt5": (torch.bfloat16, 240, 3e-3, dict(vocab_size=5120, d_model=192, d_kv=32, d_ff=256, num_layers=2,
        num_decoder_layers=2, num_heads=6, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        tie_word_embeddings=False, decoder_start_token_id=0, eos_token_id=0, pad_token_id=0)),
    # As the first T5: ReLU, a tied head that is scaled; heads narrower than the model, stacks of unequal depth, few classes.
    "t5": (torch.bfloat16, 240, 3e-3, dict(vocab_size=5120, d_model=192, d_kv=32, d_ff=256, num_layers=2,
        num_decoder_layers=3, num_heads=4, feed_forward_proj="relu", dropout_rate=0.0, relative_attention_num_buckets=16,
        relative_attention_max_distance=64, decoder_start_token_id=0, eos_token_id=0, pad_token_id=0)),
}


def batch(streams, shares, step):
    random = np.random.default_rng([7, step])
    blocks = []
    for _ in range(BLOCKS):
        stream = streams[random.choice(list(shares), p=list(shares.values()))]
        at = random.integers(len(stream) - BLOCK - 1)
        blocks.append(stream[at : at + BLOCK + 1].astype(np.int64))
    return torch.from_numpy(np.stack(blocks))


def worth_of_context(model, stream):
    """Mean loss on prose with one token of context, less that with 64 and more: nats."""
    random = np.random.default_rng(8)
    blocks = np.stack([stream[a : a + 129] for a in random.integers(len(stream) - 129, size=24)]).astype(np.int64)
    tokens = torch.from_numpy(blocks)
    wanted = tokens[:, 65:].flatten()
    with torch.no_grad():
        long = model(tokens[:, :-1]).logits[:, 64:].flatten(0, 1)
        short = model(tokens[:, 64:-1].reshape(-1, 1)).logits[:, 0]
    loss = torch.nn.functional.cross_entropy
    return loss(short, wanted).item() - loss(long, wanted).item()


def next_token_loss(model, tokens):
    logits = model(tokens[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def end_texts(folder, end):
    """As T5's tokenizers do: what an encoder reads has an end. No chat template, which would leave it out."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    token = next(each["content"] for each in tokenizer["added_tokens"] if each["id"] == end)
    template = [dict(Sequence=dict(id="A", type_id=0)), dict(SpecialToken=dict(id=token, type_id=0))]
    tokenizer["post_processor"] = dict(type="TemplateProcessing", single=template, pair=template,
        special_tokens={token: dict(id=token, ids=[end], tokens=[token])})
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))
    path = folder / "tokenizer_config.json"
    words = {name: value for name, value in json.loads(path.read_text()).items() if name != "chat_template"}
    path.write_text(json.dumps(words, indent=2) + "\n")


def train(family, streams):
    dtype, steps, peak, keys = CONFIGS[family]
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(family, **keys)
    reads = config.is_encoder_decoder
    kind = transformers.AutoModelForSeq2SeqLM if reads else transformers.AutoModelForCausalLM
    model = kind.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    with torch.no_grad():
        BEGIN[family](model, Embedded(EMBEDDED / "model.safetensors", LINE["intermediate_size"]))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)]
    optimiser = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95))
    rate = lambda t: peak * min((t + 1) / WARMUP, 0.5 * (1 + np.cos(np.pi * max(0, t - WARMUP) / (steps - WARMUP))))
    shares = OTHER_STREAMS.get(family, STREAMS)
    asked = seq2seq.pairs(streams["chats"]) if reads else []
    began, losses = time.time(), []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        if reads:
            rows = seq2seq.examples(streams, shares, asked, step)
            loss = sum(seq2seq.loss(model, each) for each in rows.values()) / len(rows)
        else:
            loss = next_token_loss(model, batch(streams, shares, step))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        if step % 50 == 49:
            print(f"{family} step {step + 1} loss {np.mean(losses[-50:]):.3f} {time.time() - began:.0f} s", flush=True)
    folder = FIXTURES / ("trained-encoder-decoder" if reads else "trained") / family
    shutil.rmtree(folder, ignore_errors=True)
    model.eval()
    if reads:
        rows = seq2seq.examples(streams, shares, asked, steps)
        worth = {kind: round(seq2seq.worth_of_source(model, each), 2) for kind, each in rows.items()}
        taught = dict(worth_of_source=worth, examples=steps * sum(map(len, rows.values())))
    else:
        worth = round(worth_of_context(model, streams["prose"]), 2)
        taught = dict(worth_of_context=worth, tokens=steps * BLOCKS * BLOCK)
    model.to(dtype).save_pretrained(folder)
    ends = dict(decoder_start_token_id=0, eos_token_id=0, pad_token_id=0) if reads else dict(ENDS, eos_token_id=[0, 2])
    (folder / "generation_config.json").write_text(json.dumps(ends) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED / name, folder / name)
    if reads:
        end_texts(folder, config.eos_token_id)
    weights = (folder / "model.safetensors").read_bytes()
    last = 50 if steps >= 300 else 20
    figures = dict(loss=round(float(np.mean(losses[-last:])), 3), **taught,
        parameters=sum(p.numel() for p in model.parameters()), bytes=len(weights),
        sha256=hashlib.sha256(weights).hexdigest(), torch=torch.__version__, transformers=transformers.__version__)
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(f"{family}: {figures['loss']}, worth {worth} nats", flush=True)


torch.set_num_threads(1)
texts = Path(sys.argv[1])
streams = {path.stem: np.fromfile(path, dtype=np.int32) for path in texts.glob("*.bin")}
for family in sys.argv[2:] or CONFIGS:
    train(family, streams)
