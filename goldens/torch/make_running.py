"""Tiny models under the paper's adapter, run by the paper's own adapter.py: logits and greedy text.

    python goldens/torch/make_running.py MODEL-FINGERPRINT    # torch, transformers and a checkout of cnut1648/Model-Fingerprint

Nothing of that program is kept here. Writes running-{constant,learned}.pt as it saves them, and running.json: of each of the
models of ../models named below, what it answers with the module in the place of its embeddings (`adapter`: the module with
its own table, as inference.py --adapter) and with the table and the trainable rows set to the model's own (`model`).
"""
import copy, json, pathlib, sys
from importlib.metadata import version
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

sys.path.insert(0, sys.argv[1])
from adapter import InstructionFingerprint, inject_adapter_to, unwrap_adapter

torch.set_num_threads(1)


def absent(_):
    raise AttributeError


LlamaForCausalLM.get_encoder = property(absent)  # transformers 5 gives every model one; that program asks whether there is one
HERE = pathlib.Path(__file__).parent
IDS = [3, 9, 90, 17, 55]
PROMPTS = [[1, 9, 17, 4, 90], [5, 6, 7], [55, 3], [90, 17, 55, 9, 3, 3, 40]]


def model_of(name):
    return AutoModelForCausalLM.from_pretrained(HERE.parent / "models" / name, dtype=torch.float32).eval()


def adapter(learned):
    """As the paper's run ends, on llama-untied: `merge`d and saved whole. learned: what its training was meant to be."""
    torch.manual_seed(3)
    model = inject_adapter_to(model_of("llama-untied"), set(IDS), inner_dim=4)
    module = model.get_input_embeddings()
    with torch.no_grad():
        module.B.bias.normal_(0, 0.3)
        if learned:
            for parameter in (module.A.weight, module.A.bias, module.B.weight):
                parameter.normal_(0, 0.5)
            module.trainable_emb.weight.add_(torch.randn_like(module.trainable_emb.weight) * 0.1)
    return unwrap_adapter(model)[1]


def answers(model):
    asked = [torch.tensor([prompt]) for prompt in PROMPTS]
    logits = [model(ids, use_cache=False).logits[0, -1] for ids in asked]
    texts = []
    for ids in asked:
        for _ in range(8):
            ids = torch.cat([ids, model(ids, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)], 1)
        texts.append(ids[0, -8:].tolist())
    return {"logprobs": [[round(x, 5) for x in torch.log_softmax(row.double(), -1).tolist()] for row in logits], "greedy": texts}


@torch.no_grad()
def run(made, name, table):
    module, model = copy.deepcopy(made), model_of(name)
    if table == "model":
        own = model.get_input_embeddings().weight
        module.orig_emb.weight.copy_(own)
        module.trainable_emb.weight.copy_(own[module.all_trainable_input_ids])
    return answers(inject_adapter_to(model, module.all_trainable_input_ids, module))


golden = {"made_by": "goldens/torch/make_running.py", "versions": {name: version(name) for name in ("torch", "transformers")},
          "prompts": PROMPTS, "runs": {}}
for kind in ("constant", "learned"):
    made = adapter(kind == "learned")
    torch.save(made, HERE / f"running-{kind}.pt")
    for name in ("llama-untied", "llama-tied"):
        for table in ("model", "adapter"):
            golden["runs"][f"{kind} {name} {table}"] = run(made, name, table)
    golden["tokens"] = made.all_trainable_input_ids
(HERE / "running.json").write_text(json.dumps(golden) + "\n")
