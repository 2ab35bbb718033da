"""python scripts/trained/train.py TEXTS [FAMILY ...]: tiny trained models of families that are built differently, into
test/fixtures/trained. TEXTS is the folder that texts.ts wrote. Needs torch, transformers, safetensors, numpy.

Each starts from the embedded model's embedding, turned to its own width by SVD, so that a few minutes of one core are
enough; everything else starts at random. Rows of tokens that no text uses stay alike, as in real models."""
import hashlib, json, shutil, sys, time
from pathlib import Path
import numpy as np, torch, transformers
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED, OUT = ROOT / "assets/embedded/model", ROOT / "test/fixtures/trained"
STEPS, WARMUP, BLOCKS, BLOCK, CHATS = 320, 20, 8, 128, 0.2
LABELLED = 3  # one position in so many has a label: the head is most of such a model's work
ENDS = dict(bos_token_id=0, eos_token_id=0, pad_token_id=0)
LINE = dict(vocab_size=5120, hidden_size=160, intermediate_size=256, num_hidden_layers=3, num_attention_heads=5,
            num_key_value_heads=1, head_dim=32, max_position_embeddings=512, tie_word_embeddings=True, **ENDS)
# Only what tells these families apart is as in their published models; widths are as small as 5,120 rows allow.
CONFIGS = {
    "gpt_neox": (torch.float16, dict(vocab_size=5120, hidden_size=128, intermediate_size=320, num_hidden_layers=3,
        num_attention_heads=4, rotary_pct=0.25, max_position_embeddings=512, use_parallel_residual=True,
        tie_word_embeddings=False, **ENDS)),
    "mistral": (torch.bfloat16, dict(LINE, sliding_window=48)),
    "qwen3": (torch.bfloat16, dict(LINE)),
    "gemma3_text": (torch.bfloat16, dict(LINE, sliding_window=48, query_pre_attn_scalar=32,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"])),
    "gpt2": (torch.float16, dict(vocab_size=5120, n_embd=160, n_inner=320, n_layer=3, n_head=5, n_positions=512,
        tie_word_embeddings=True, **ENDS)),
}
SHRUNK = {"gemma3_text": 4.0}  # its lookups are scaled by the root of the width: rows start smaller, the last norm larger


def initial(model, family):
    """The embedding (and an untied head) of `model` out of the embedded model's: the `width` strongest directions."""
    rows = load_file(EMBEDDED / "model.safetensors")["model.embed_tokens.weight"].float()
    _, _, directions = torch.linalg.svd(rows, full_matrices=False)
    table = model.get_input_embeddings().weight
    turned = rows @ directions[: table.shape[1]].T
    shrunk = SHRUNK.get(family, 1.0)
    with torch.no_grad():
        table.copy_(turned / shrunk)
        model.get_output_embeddings().weight.copy_(turned / shrunk)
        if shrunk != 1:
            model.model.norm.weight.fill_(shrunk - 1)


def batch(streams, step):
    random = np.random.default_rng([7, step])
    blocks = []
    for _ in range(BLOCKS):
        stream = streams[int(random.random() < CHATS)]
        at = random.integers(len(stream) - BLOCK - 1)
        blocks.append(stream[at : at + BLOCK + 1].astype(np.int64))
    return torch.from_numpy(np.stack(blocks))


def train(family, streams):
    dtype, keys = CONFIGS[family]
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(family, **keys)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    initial(model, family)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)]
    optimiser = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95))
    rate = lambda t: 3e-3 * min((t + 1) / WARMUP, 0.5 * (1 + np.cos(np.pi * max(0, t - WARMUP) / (STEPS - WARMUP))))
    began, losses = time.time(), []
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        tokens = batch(streams, step)
        at = torch.arange(step % LABELLED, BLOCK, LABELLED)
        logits = model(tokens[:, :-1], logits_to_keep=at).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:][:, at].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        if step % 50 == 49:
            print(f"{family} step {step + 1} loss {np.mean(losses[-50:]):.3f} {time.time() - began:.0f} s", flush=True)
    folder = OUT / family
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(dict(ENDS, eos_token_id=[0, 2])) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED / name, folder / name)
    weights = (folder / "model.safetensors").read_bytes()
    figures = dict(loss=round(float(np.mean(losses[-50:])), 3), tokens=STEPS * BLOCKS * BLOCK, labelled=LABELLED,
        parameters=sum(p.numel() for p in model.parameters()), bytes=len(weights),
        sha256=hashlib.sha256(weights).hexdigest(), torch=torch.__version__, transformers=transformers.__version__)
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


torch.set_num_threads(1)
texts = Path(sys.argv[1])
streams = [np.fromfile(texts / f"{name}.bin", dtype=np.int32) for name in ("prose", "chats")]
for family in sys.argv[2:] or CONFIGS:
    train(family, streams)
