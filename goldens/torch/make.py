"""Small .pt files as torch itself writes them, and what is in them: dtype, shape, sha256 of the row-major bytes.

    python goldens/torch/make.py    # needs torch and numpy; writes *.pt and golden.json beside this file

`adapter.InstructionFingerprint` has the attributes of the module that the paper's code saves as instruction_emb.pt.
"""
import hashlib, json, pathlib, platform, sys, types
import torch

torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent


class InstructionFingerprint(torch.nn.Module):
    def __init__(self, emb, ids, dim):
        super().__init__()
        width = emb.weight.size(1)
        self.orig_emb = emb
        self.all_trainable_input_ids = ids
        self.trainable_emb = torch.nn.Embedding(len(ids), width)
        self.A = torch.nn.Linear(width, dim)
        self.B = torch.nn.Linear(dim, width)


module = types.ModuleType("adapter")
module.InstructionFingerprint = InstructionFingerprint
InstructionFingerprint.__module__ = "adapter"
InstructionFingerprint.__qualname__ = "InstructionFingerprint"
sys.modules["adapter"] = module


def adapter(dtype, learned):
    """learned: A and B are not zero. Otherwise as the paper's code ends: A = B = 0, only B's bias has moved."""
    torch.manual_seed(7)
    emb = torch.nn.Embedding(40, 8)
    emb.weight.requires_grad = False
    made = InstructionFingerprint(emb, [3, 39, 0, 17], 2)
    with torch.no_grad():
        made.trainable_emb.weight.copy_(emb.weight[made.all_trainable_input_ids])
        if learned:
            made.trainable_emb.weight[2] += 1
        else:
            for parameter in (made.A.weight, made.A.bias, made.B.weight):
                parameter.zero_()
        made.B.bias.copy_(torch.linspace(-1, 1, 8))
        for parameter in made.parameters():
            parameter.data = parameter.data.to(dtype)
    return made


def described(tensor):
    raw = tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "sha256": hashlib.sha256(raw).hexdigest()}


golden = {}
for name, made in {
    "paper-bf16": adapter(torch.bfloat16, False),
    "paper-f32": adapter(torch.float32, False),
    "learned-f16": adapter(torch.float16, True),
}.items():
    torch.save(made, HERE / f"{name}.pt")
    golden[name] = {"ids": made.all_trainable_input_ids, "tensors": {k: described(v) for k, v in made.state_dict().items()}}
state = adapter(torch.float32, False).state_dict()
torch.save(state, HERE / "state-dict.pt")
golden["state-dict"] = {"ids": None, "tensors": {k: described(v) for k, v in state.items()}}

base = torch.arange(24, dtype=torch.float32)
views = {
    "whole": base, "tail": base[20:], "rows": base.view(4, 6)[1:3], "scalar": base[5],
    "empty": torch.zeros(0, 3), "i64": torch.tensor([-1, 2**40]), "i32": torch.tensor([7], dtype=torch.int32),
    "flags": torch.tensor([True, False]), "bytes": torch.tensor([0, 255], dtype=torch.uint8), "one": torch.ones(1, 1, 1),
}
torch.save(views, HERE / "views.pt")
golden["views"] = {"ids": None, "tensors": {k: described(v) for k, v in views.items()}}
torch.save({"t": base.view(4, 6).t()}, HERE / "strided.pt")
torch.save({"d": torch.zeros(2, dtype=torch.float64)}, HERE / "double.pt")
torch.save(state, HERE / "legacy.pt", _use_new_zipfile_serialization=False)

golden["made_by"] = {"python": platform.python_version(), "torch": torch.__version__}
(HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
