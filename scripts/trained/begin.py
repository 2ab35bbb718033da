"""What a tiny model of each family begins with: all of the embedded model that its shapes have room for."""
import torch
from safetensors.torch import load_file

LAYERS = (0, 1, 3)  # of the embedded model's four


class Embedded:
    """The embedded model's tensors, float32, cut to fewer layers and to the `inner` strongest units of each MLP."""

    def __init__(self, path, inner):
        tensors = load_file(path)
        self.inner = inner
        self.tensors = {name: tensor.float() for name, tensor in tensors.items()}
        self.rows = self.tensors["model.embed_tokens.weight"]
        self.last_norm = self.tensors["model.norm.weight"]

    def layer(self, i):
        start = f"model.layers.{LAYERS[i]}."
        layer = {n.removeprefix(start): t for n, t in self.tensors.items() if n.startswith(start)}
        down = layer["mlp.down_proj.weight"]
        strength = down.norm(dim=0) * layer["mlp.up_proj.weight"].norm(dim=1) * layer["mlp.gate_proj.weight"].norm(dim=1)
        kept = strength.topk(self.inner).indices.sort().values
        for name in ("mlp.gate_proj.weight", "mlp.up_proj.weight"):
            layer[name] = layer[name][kept]
        layer["mlp.down_proj.weight"] = down[:, kept]
        return layer

    def query_heads(self, i, size):
        return self.layer(i)["self_attn.q_proj.weight"].shape[0] // size

    def heads(self, i, count, size):
        """Queries, keys and values of a layer, each [count, size, E]: one of its own for every head."""
        layer = self.layer(i)
        each = [layer[f"self_attn.{name}_proj.weight"].unflatten(0, (-1, size)) for name in "qkv"]
        return [part.repeat_interleave(count // part.shape[0], 0) for part in each]


def line(model, embedded):
    """Families whose tensors have LLaMA's names; further norms stay as they are."""
    for i, layer in enumerate(model.model.layers):
        own = layer.state_dict()
        layer.load_state_dict({**own, **{n: t for n, t in embedded.layer(i).items() if n in own}})
    model.model.embed_tokens.weight.copy_(embedded.rows)
    model.model.norm.weight.copy_(embedded.last_norm)


def qwen3(model, embedded):
    line(model, embedded)
    for layer in model.model.layers:  # queries and keys are of size 1 after their norms; the embedded model's are larger
        layer.self_attn.q_norm.weight.fill_(1.5)
        layer.self_attn.k_norm.weight.fill_(1.5)


def gemma3_text(model, embedded):
    """Norms count from 1 there, and lookups are scaled by the root of the width: rows begin smaller, the last norm larger."""
    line(model, embedded)
    shrunk = 4.0
    model.model.embed_tokens.weight.copy_(embedded.rows / shrunk)
    model.model.norm.weight.copy_(embedded.last_norm * shrunk - 1)
    for i, layer in enumerate(model.model.layers):
        own = embedded.layer(i)
        layer.input_layernorm.weight.copy_(own["input_layernorm.weight"] - 1)
        layer.pre_feedforward_layernorm.weight.copy_(own["post_attention_layernorm.weight"] - 1)
        for norm in (layer.post_attention_layernorm, layer.post_feedforward_layernorm):
            norm.weight.fill_(-0.5)
        layer.self_attn.q_norm.weight.fill_(0.5)
        layer.self_attn.k_norm.weight.fill_(0.5)


def gpt2(model, embedded):
    body = model.transformer
    body.wte.weight.copy_(embedded.rows)
    for i, block in enumerate(body.h):
        size = block.attn.head_dim
        parts = embedded.heads(i, block.attn.num_heads, size)
        block.attn.c_attn.weight.copy_(torch.cat([part.flatten(0, 1) for part in parts]).T)
        block.attn.c_proj.weight.copy_(embedded.layer(i)["self_attn.o_proj.weight"].T)


def gpt_neox(model, embedded):
    model.gpt_neox.embed_in.weight.copy_(embedded.rows)
    model.get_output_embeddings().weight.copy_(embedded.rows)
    for i, layer in enumerate(model.gpt_neox.layers):
        attention = layer.attention
        size = attention.head_size
        parts = embedded.heads(i, attention.query_key_value.weight.shape[0] // (3 * size), size)
        attention.query_key_value.weight.copy_(torch.stack(parts, 1).flatten(0, 2))  # a head's three lie together
        attention.dense.weight.copy_(embedded.layer(i)["self_attn.o_proj.weight"])


def encoder_decoder(model, embedded, mlp_parts):
    """Both stacks: layers read what LLaMA's do. Scores are not scaled there, so that queries bring the scale along; distances
    are classes, of which near ones begin as the better. What attends to the source begins as the decoder's own does."""
    model.shared.weight.copy_(embedded.rows)
    for stack in (model.encoder, model.decoder):
        stack.final_layer_norm.weight.copy_(embedded.last_norm)
        for i, block in enumerate(stack.block):
            layer = embedded.layer(i)
            for part in block.layer[:-1]:
                attention = part.SelfAttention if hasattr(part, "SelfAttention") else part.EncDecAttention
                size, width = attention.key_value_proj_dim, attention.inner_dim  # it may have fewer heads: the first
                q, k, v = (each.flatten(0, 1)[:width] for each in embedded.heads(i, embedded.query_heads(i, size), size))
                out = layer["self_attn.o_proj.weight"][:, :width]
                for name, matrix in dict(q=q * size**-0.5, k=k, v=v, o=out).items():
                    getattr(attention, name).weight.copy_(matrix)
                part.layer_norm.weight.copy_(layer["input_layernorm.weight"])
            bias = getattr(block.layer[0].SelfAttention, "relative_attention_bias", None)
            if bias is not None:
                classes = torch.arange(bias.num_embeddings)[:, None].float()
                bias.weight.copy_(-0.15 * (classes % (len(classes) // 2) if stack is model.encoder else classes))
            block.layer[-1].layer_norm.weight.copy_(layer["post_attention_layernorm.weight"])
            mlp = block.layer[-1].DenseReluDense
            for name, own in mlp_parts.items():
                getattr(mlp, name).weight.copy_(layer[f"mlp.{own}.weight"])


def mt5(model, embedded):
    encoder_decoder(model, embedded, dict(wi_0="gate_proj", wi_1="up_proj", wo="down_proj"))
    model.config.tie_word_embeddings = False  # transformers 5 ties what comes without a head, whatever a config says
    model.lm_head.weight = torch.nn.Parameter(embedded.rows.clone())


def t5(model, embedded):
    """The first T5: no gate, one matrix for both ends, whose products are divided by the root of the width."""
    encoder_decoder(model, embedded, dict(wi="gate_proj", wo="down_proj"))
    model.decoder.final_layer_norm.weight.mul_(model.config.d_model**0.5)


BEGIN = {"mt5": mt5, "t5": t5, "gpt_neox": gpt_neox, "mistral": line, "qwen3": qwen3, "gemma3_text": gemma3_text, "gpt2": gpt2}
