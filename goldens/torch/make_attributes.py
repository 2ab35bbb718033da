"""An adapter some of whose parameters carry attributes of their own, which torch pickles in another way, and a state of such tensors.

    python goldens/torch/make_attributes.py    # torch and numpy; writes attributes*.pt and attributes.json beside this file
"""
import hashlib, json, pathlib, platform, sys, types
import torch

torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent
module = types.ModuleType("adapter")
sys.modules["adapter"] = module


class InstructionFingerprint(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(11)
        self.orig_emb = torch.nn.Embedding(12, 4)
        self.all_trainable_input_ids = [5, 2]
        self.trainable_emb = torch.nn.Embedding(2, 4)
        self.A = torch.nn.Linear(4, 3)
        self.B = torch.nn.Linear(3, 4)


module.InstructionFingerprint = InstructionFingerprint
InstructionFingerprint.__module__, InstructionFingerprint.__qualname__ = "adapter", "InstructionFingerprint"

made = InstructionFingerprint()
made.A.weight.ds_id = 7  # what DeepSpeed leaves on parameters
made.orig_emb.weight.is_tied = True
made.B.bias.tag = {"name": "b", "sizes": [4]}
torch.save(made, HERE / "attributes.pt")
state = {name: tensor.detach().clone() for name, tensor in made.state_dict().items()}
state["A.bias"].note = "a plain tensor with an attribute"
torch.save(state, HERE / "attributes-state.pt")


def described(tensor):
    raw = tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "sha256": hashlib.sha256(raw).hexdigest()}


tensors = {name: described(tensor) for name, tensor in made.state_dict().items()}
golden = {"made_by": {"python": platform.python_version(), "torch": torch.__version__}, "ids": [5, 2], "tensors": tensors}
(HERE / "attributes.json").write_text(json.dumps(golden, indent=1) + "\n")
