"""What numpy and torch make of the examples of every op.

Run: npx tsx goldens/ops/examples.ts | python goldens/ops/make.py   (numpy, torch)
Writes golden.json: of every example its inputs and all outputs. Whatever is made of float32 is computed in float64 and
rounded once. null: a place that holds nothing defined (padding). Half precision comes as bits.
"""
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent


def read(tensor):
    """float32 and half precision as float64, integers and booleans as they are."""
    dtype, shape, data = tensor["dtype"], tensor["shape"], tensor["data"]
    if dtype == "float16":
        return np.array(data, np.uint16).view(np.float16).astype(np.float64).reshape(shape)
    if dtype == "bfloat16":
        bits = torch.tensor(np.array(data, np.uint16).view(np.int16).copy())
        return bits.view(torch.bfloat16).to(torch.float64).numpy().reshape(shape)
    if dtype == "float32":
        return np.array(data, np.float32).astype(np.float64).reshape(shape)
    return np.array(data, {"bool": np.bool_, "uint8": np.uint8, "int32": np.int32, "int64": np.int64}[dtype]).reshape(shape)


def number(value):
    if isinstance(value, np.bool_):
        return int(value)
    if isinstance(value, np.integer):
        return int(value)
    return None if math.isnan(value) else float(np.format_float_positional(np.float32(value), unique=True, trim="0"))


def write(array):
    array = np.asarray(array)
    names = {"b": "bool", "f": "float32"}
    dtype = names.get(array.dtype.kind) or array.dtype.name
    return {"dtype": dtype, "shape": list(array.shape), "data": [number(x) for x in array.reshape(-1)]}


def tensors(function):
    """A reference written for torch tensors."""
    return lambda inputs, attrs: [
        out.numpy() for out in function(*(torch.from_numpy(np.ascontiguousarray(x)) for x in inputs), **attrs)]


def arrays(function):
    """A reference of one output written for numpy arrays."""
    return lambda inputs, attrs: [function(*inputs, **attrs)]


def unpacked(packed, scales, bits, block, width, accuracy):
    """Whole numbers of 4 bits, two a byte, the lower first, or of 8, around their middle, a scale a block."""
    q = packed if bits == 8 else np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:2], -1)
    return ((q.astype(np.float64) - 2 ** (bits - 1)) * scales[:, :, None]).reshape(len(packed), -1)[:, :width]


def cast(x, to):
    return x.astype({"float32": np.float64, "bool": np.bool_}.get(to, to))


def swapped(x, transposed):
    return np.swapaxes(x, -1, -2) if transposed else x


def product(a, b, transA=False, transB=False, alpha=1.0):
    return alpha * (swapped(a, transA) @ swapped(b, transB))


def put_rows(table, ids, rows):
    out = table.copy()
    out[ids] = rows
    return out


def pick_rows(x, index, inverse, live, picked, masked=False):
    return x[index] * live[:, None] if masked else x[index]


def expert_rows(x, chosen, expert, dim):
    rows = np.concatenate([x[chosen[:, expert] != 0], np.zeros((1, x.shape[1]))])
    assert len(rows) == dim
    return rows


def put_expert_rows(rows, chosen, expert, dim):
    out = np.zeros((len(chosen), rows.shape[1]))
    out[chosen[:, expert] != 0] = rows[:-1]
    return out


def unique(inputs, attrs):
    distinct, inverse = np.unique(inputs[0], return_inverse=True)
    return [distinct.astype(np.int64), inverse.astype(np.int64)]


def rotary(x, positions, cos, sin, head_dim, dim, interleaved):
    """The pair (a, b) of a head is the complex number a + ib, turned by cos + i·sin; the head's rest stays."""
    out = x.reshape(x.shape[0], -1, head_dim).copy()
    places = np.arange(dim).reshape((-1, 2) if interleaved else (2, -1))
    first, second = (places[:, 0], places[:, 1]) if interleaved else places
    turned = (out[..., first] + 1j * out[..., second]) * (cos + 1j * sin)[positions][:, None, :]
    out[..., first], out[..., second] = turned.real, turned.imag
    return out.reshape(x.shape)


def slopes(positions, slopes, rounded=None):
    """ALiBi by the keys' positions [H, 1, length]; rounded as transformers does for Falcon."""
    steep = torch.tensor(slopes, dtype=torch.float32)[:, None, None]
    if not rounded:
        return steep.double() * positions
    return (steep.to(getattr(torch, rounded["to"])) * positions).double() * rounded["scale"]


def attention(q, k, v, last, total, *past, heads, kvHeads, present,
              window=math.inf, scale=None, softcap=None, alibi=None, relative=False):
    """Causal grouped-query attention of each sequence alone, in torch; keys and values with what came before them."""
    if relative:
        *past, distances = past
    batch, rows, width = q.shape
    size = width // heads
    out = np.full(q.shape, np.nan)
    caches = [np.full((batch, kvHeads, present, size), np.nan) for _ in range(2)]
    for b in range(batch):
        length = int(last[b]) + 1  # with this call's tokens
        before = length - rows if past else 0
        new = length - before
        for cache, now, old in zip(caches, (k, v), past or (None, None)):
            if old is not None:
                cache[b, :, :before] = old[b, :, :before]
            cache[b, :, before:length] = now[b, :new].reshape(new, kvHeads, size).transpose(1, 0, 2)
        keys, values = (torch.from_numpy(cache[b, :, :length]).repeat_interleave(heads // kvHeads, 0) for cache in caches)
        queries = torch.from_numpy(q[b, :new].reshape(new, heads, size).transpose(1, 0, 2).copy())
        back = torch.arange(before, length)[:, None] - torch.arange(length)[None, :]
        scores = queries @ keys.transpose(1, 2) * (scale or size ** -0.5)
        if softcap:
            scores = softcap * torch.tanh(scores / softcap)
        if relative:
            scores = scores + torch.from_numpy(distances)[back.clamp(0, len(distances) - 1)].permute(2, 0, 1)
        if alibi:
            scores = scores + slopes(torch.arange(length), **alibi)
        mixed = scores.masked_fill((back < 0) | (back >= window), -math.inf).softmax(-1) @ values
        out[b, :new] = mixed.permute(1, 0, 2).reshape(new, width).numpy()
    return [out, *caches]


def loop(inputs, attrs):
    count, now, step = int(inputs[0]), inputs[1], inputs[2]
    left, states, rests = np.int32(count), [], []
    for _ in range(count):
        states.append(now)
        rests.append(left)
        now, left = 2 * now + step, np.int32(left - 1)
        if not 12 >= now.sum():
            break
    return [now, left, np.stack(states), np.array(rests, np.int32)]


def top(x, count, dim):
    order = np.argsort(-x, axis=-1, kind="stable")[:, :int(count)]
    assert order.shape[1] == dim
    return [np.take_along_axis(x, order, -1), order.astype(np.int64)]


def mark(x, columns, marks):
    out = x.copy()
    np.put_along_axis(out, columns.astype(np.int64), marks, axis=1)
    return out


def slices(x, axis, start, end, dim):
    return np.take(x, np.arange(start, end), axis=axis)


def padded(x, axis, before, after):
    return np.pad(x, [(before, after) if i == axis else (0, 0) for i in range(x.ndim)])


def running(x, exclusive):
    sums = np.cumsum(x, axis=-1)
    return sums - x if exclusive else sums


def log_softmax_at_back(y, index, g):
    p = torch.exp(y)
    return [torch.zeros_like(y).scatter_add(1, index.long(), g) - p * g.sum(1, keepdim=True)]


CONSTANTS = [np.array([[0.5, -1], [2, 1e-3]]), np.array([1, 2, 3, 4, 5, 6, 7, 8, -9], np.int32),
             np.array(2 ** 40, np.int64), np.array([True, False])]

REFERENCES = {
    "add": arrays(np.add), "sub": arrays(np.subtract), "mul": arrays(np.multiply), "div": arrays(np.divide),
    "min": arrays(np.minimum), "max": arrays(np.maximum),
    "equal": arrays(np.equal), "greater_equal": arrays(np.greater_equal),
    "neg": arrays(np.negative), "stop_gradient": arrays(np.copy), "exp": arrays(np.exp), "log": arrays(np.log),
    "sqrt": arrays(np.sqrt), "sigmoid": tensors(lambda x: [torch.sigmoid(x)]),
    "tanh": arrays(np.tanh), "erf": tensors(lambda x: [torch.erf(x)]), "relu": tensors(lambda x: [F.relu(x)]),
    "cast": arrays(cast), "where": arrays(np.where),
    "cached_attention": lambda inputs, attrs: attention(*inputs, **attrs),
    "gather": arrays(lambda table, ids: table[ids]), "unique": unique,
    "iota_like": arrays(lambda x: np.arange(len(x), dtype=np.int64)),
    "expert_rows": arrays(expert_rows), "put_expert_rows": arrays(put_expert_rows),
    "put_rows": arrays(put_rows), "pick_rows": arrays(pick_rows),
    "input": arrays(np.copy), "weight": arrays(np.copy), "constant": lambda inputs, attrs: CONSTANTS,
    "loop": loop, "loop_variable": loop,
    "gemm": arrays(product), "low_rank_sum": arrays(lambda w, a, b, scale, transposed: w + scale * ((b @ a).T if transposed else b @ a)),
    "batch_matmul": arrays(product), "cast_gemm": arrays(product),
    "quantised_linear": arrays(lambda x, packed, scales, **rows: x @ unpacked(packed, scales, **rows).T),
    "quantised_weight": arrays(lambda packed, scales, **rows: unpacked(packed, scales, **rows)),
    "softmax": tensors(lambda x: [F.softmax(x, -1)]), "log_softmax": tensors(lambda x: [F.log_softmax(x, -1)]),
    "take_last": arrays(lambda x, index: x[np.arange(len(index)), index]),
    "log_softmax_at": tensors(lambda x, index: [F.log_softmax(x, -1).gather(1, index.long()), F.log_softmax(x, -1)]),
    "log_softmax_at_back": tensors(log_softmax_at_back),
    "layer_norm": tensors(lambda x, gamma, beta=None, eps=0: [F.layer_norm(x, gamma.shape, gamma, beta, eps)]),
    "rms_norm": tensors(lambda x, gamma, eps: [F.rms_norm(x, gamma.shape, gamma, eps)]), "rotary": arrays(rotary),
    "reshape": arrays(lambda x, shape: x.reshape(shape)), "transpose": arrays(lambda x, perm: x.transpose(perm)),
    "slice": arrays(slices), "slice_at": arrays(lambda x, start, end, axis, dim: slices(x, axis, start.item(), end.item(), dim)),
    "pad": arrays(padded),
    "concat": lambda inputs, attrs: [np.concatenate(inputs, axis=attrs["axis"])],
    "split": lambda inputs, attrs: np.split(inputs[0], [inputs[1].shape[1]], axis=1),
    "expand": arrays(lambda x, shape: np.broadcast_to(x, shape)),
    "reduce_sum": arrays(lambda x, axes, keep: x.sum(tuple(axes), keepdims=keep)),
    "reduce_mean": arrays(lambda x, axis: x.mean(axis, keepdims=True)),
    "argmax": arrays(lambda x: x.argmax(-1).astype(np.int64)), "after": arrays(lambda x, *_: x),
    "top": lambda inputs, attrs: top(*inputs, **attrs), "cumulative_sum": arrays(running), "mark": arrays(mark),
}


def main():
    ops = json.load(sys.stdin)
    missing = [name for name in ops if name not in REFERENCES]
    assert not missing, f"no reference for {missing}"
    for name, examples in ops.items():
        for example in examples:
            example["outputs"] = [
                write(out) for out in REFERENCES[name]([read(x) for x in example["inputs"]], example["attrs"])]
            for x in example["inputs"]:
                if x["dtype"] == "float32":
                    x["data"] = [number(v) for v in x["data"]]
    golden = {"made_by": "goldens/ops/make.py",
              "versions": {"numpy": np.__version__, "torch": torch.__version__.split("+")[0]}}
    lines = [f'  "{name}": ' + json.dumps(examples, separators=(",", ":")) for name, examples in ops.items()]
    text = json.dumps(golden)[:-1] + ', "ops": {\n' + ",\n".join(lines) + "\n}}\n"
    (HERE / "golden.json").write_text(text)
    print(f"{len(ops)} ops, {sum(map(len, ops.values()))} examples, {len(text)} bytes")


if __name__ == "__main__":
    main()
