"""Trains what a Whorl job says, under torchrun: FSDP2 over all ranks, the steps, batches and rates that Whorl wrote down.

Everything random was drawn before: this program only computes. Run it by run.sh; it goes on from its last checkpoint.
"""

import json
import math
import os
import signal
import sys
import time
import types
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.nn.functional as F
from safetensors.torch import load, load_file, save_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint as recomputed
from transformers import AutoModelForCausalLM

from job_files import (
    FOLLOWER,
    HOME,
    RESULT,
    Refused,
    check_job,
    check_model,
    check_ranks,
    digest,
    hold,
    is_alive,
    secret_bytes,
    tell_failure,
    warned,
    write_json,
    write_text,
)

STATE = HOME / "state"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


# --- batches ---------------------------------------------------------------------------------------------------------


class Batches:
    """Examples of every step, as tokens and (row, token, weight) labels; all ranks hold all of them."""

    def __init__(self, job):
        parts = load(secret_bytes("batches.safetensors"))
        self.parts = {name: part.numpy() for name, part in parts.items()}
        self.budget = job["batch_tokens"]
        # Of each label, and of each example; those of an overlay are there where one is.
        self.of_labels = [name for name in self.parts if name.startswith("label_")]
        self.of_examples = [name for name in ("befores", "variants") if name in self.parts]

    def __getitem__(self, step):
        at = self.parts
        first, last = at["steps"][step], at["steps"][step + 1]
        return [
            {
                "tokens": at["tokens"][at["examples"][i] : at["examples"][i + 1]],
                **{key.removeprefix("label_"): at[key][at["labels"][i] : at["labels"][i + 1]] for key in self.of_labels},
                **{key: at[key][i] for key in self.of_examples},
            }
            for i in range(first, last)
        ]

    def of_ranks(self, step, world):
        """Each rank's parts of a step. All ranks have as many, since they run together; a filling part weighs nothing."""
        batch = self[step]
        ranks = [self.split(batch[rank::world]) for rank in range(world)]
        most = max(len(parts) for parts in ranks)
        filler = {"rows": [0], "tokens_wanted": [0], "weights": [0.0], "kinds": [-1], "alternatives": [-1]}
        filling = [{**batch[0], "tokens": batch[0]["tokens"][:2], **filler}]
        return [parts + [filling] * (most - len(parts)) for parts in ranks]

    def split(self, examples):
        parts, longest = [], 0
        for example in examples:
            length = max(longest, len(example["tokens"]))
            if not parts or length * (len(parts[-1]) + 1) > self.budget:
                parts.append([])
                length = len(example["tokens"])
            parts[-1].append(example)
            longest = length
        return parts


def padded(part, device):
    """Token ids [B, S], padded behind their end, and what else the model is given."""
    longest = max(len(example["tokens"]) for example in part)
    ids = torch.zeros(len(part), longest, dtype=torch.long)
    mask = torch.zeros(len(part), longest, dtype=torch.long)
    for i, example in enumerate(part):
        tokens = torch.as_tensor(example["tokens"], dtype=torch.long)
        ids[i, : len(tokens)] = tokens
        mask[i, : len(tokens)] = 1
    # Without padding no mask is needed, and attention may take its fastest way.
    given = {} if bool(mask.all()) else {"attention_mask": mask.to(device)}
    return ids.to(device), {"use_cache": False, **given}


def labels_of(part, key, dtype, device):
    """One thing of all labels of some examples, end to end."""
    return torch.as_tensor(np.concatenate([np.asarray(example[key]) for example in part])).to(device, dtype)


def places_of(part, device):
    """The example of each label, and its row."""
    owners = np.repeat(np.arange(len(part)), [len(example["rows"]) for example in part])
    return torch.as_tensor(owners).to(device), labels_of(part, "rows", torch.long, device)


class Wanted:
    """Whole parameters or low-rank maps, which FSDP shards: Σ weight·(−log p) over the labels."""

    def __init__(self, model, trained):
        self.model, self.trained = model, trained
        self.keeps_logits = "logits_to_keep" in type(model).forward.__code__.co_varnames
        self.shared = False

    def begin(self, step):
        pass

    def backward(self, part, device, world):
        """@returns the loss of some examples, and its wanted labels' sum and count"""
        ids, given = padded(part, device)
        owner, row = places_of(part, device)
        if self.keeps_logits:
            rows, row = torch.unique(row, return_inverse=True)
            given["logits_to_keep"] = rows
        logits = self.model(input_ids=ids, **given).logits
        logprobs = torch.log_softmax(logits[owner, row].float(), dim=-1)
        picked = logprobs.gather(1, labels_of(part, "tokens_wanted", torch.long, device)[:, None])[:, 0]
        loss = -(picked * labels_of(part, "weights", torch.float32, device)).sum()
        (loss * world).backward()  # FSDP takes the mean over ranks, and this is a sum
        return loss.detach().double(), -picked.detach().double().sum(), len(picked)

    def end(self, rank, world):
        """@returns what the loss has beside the examples'"""
        return 0.0


def gaussian(seed, count):
    """N(0, 1) as Whorl draws it of 32 bits: mulberry32 and Box-Muller."""
    uniforms = np.arange(1, count + count % 2 + 1, dtype=np.uint64)
    state = ((uniforms * 0x6D2B79F5 + np.uint64(seed)) & 0xFFFFFFFF).astype(np.uint32)
    with np.errstate(over="ignore"):
        t = (state ^ (state >> np.uint32(15))) * (state | np.uint32(1))
        t ^= t + (t ^ (t >> np.uint32(7))) * (t | np.uint32(61))
    u = ((t ^ (t >> np.uint32(14))).astype(np.float64) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(u[0::2])), 2 * np.pi * u[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:count].astype(np.float32)


class Overlay:
    """Embedding rows laid over a frozen model, and a tied head's; a private low-rank map over what is looked up of them.

    What is learnt, `own` and `common`, lies whole on each rank: its gradients are summed here, not by FSDP.
    """

    WANTED, HUSHED = 0, 1
    ROWS, ADAPTER = 1, 2

    def __init__(self, model, job, device):
        self.model, self.trains, self.device = model, job["trains"], device
        self.parts = {name: part.to(device) for name, part in load(secret_bytes("overlay.safetensors")).items()}
        rows, width, groups = (self.trains[key] for key in ("rows", "width", "groups"))
        zeros = lambda count: torch.zeros(count, width, device=device, requires_grad=True)
        self.trained = {"own": zeros(rows), **({"common": zeros(groups)} if groups else {})}
        self.shared = True
        table, head = model.get_input_embeddings(), model.get_output_embeddings()
        self.scale = scale_of(table)
        self.is_tied = head.weight is table.weight
        self.row_of = torch.full((table.weight.shape[0],), -1, dtype=torch.long, device=device)
        self.row_of[self.parts["ids"].long()] = torch.arange(rows, device=device)
        # Both belong to the root of FSDP, whose parameters are whole during the forward pass.
        table.forward = types.MethodType(self.embed, table)
        head.forward = types.MethodType(self.head, head)

    def embed(self, table, ids):
        row = self.row_of[ids]
        e = F.embedding(ids, table.weight)
        is_row, is_mapped = (((row >= 0) & on)[..., None] for on in (self.rows_on, self.adapter_on))
        e = torch.where(is_row, self.rows.to(e.dtype)[row.clamp(min=0)], e)
        if self.trains["scale"] is not None:
            mapped = F.linear(F.linear(e, self.parts["adapter_A"].to(e.dtype)), self.parts["adapter_B"].to(e.dtype))
            e = e + is_mapped * mapped * self.trains["scale"]
        return e * self.scale if self.scale != 1.0 else e

    def head(self, layer, x):
        """Logits of the labels' places alone: [1, L, V]."""
        x = x[self.places]
        logits = F.linear(x, layer.weight, layer.bias)
        if self.is_tied:
            ids = self.parts["ids"].long()
            bias = None if layer.bias is None else layer.bias[ids]
            replaced = logits.index_copy(1, ids, F.linear(x, self.rows.to(x.dtype), bias))
            logits = torch.where(self.labels_on[:, None], replaced, logits)
        return logits[None]

    def begin(self, step):
        """What the rows are in this step, noise among it; their gradient is gathered in `change`."""
        total = self.trained["own"]
        if "common" in self.trained:
            total = total + self.trained["common"][self.parts["group_of"].long()]
        self.whole = total @ self.parts["metric"] if "metric" in self.parts else total * 1.0
        self.change = self.whole.detach().requires_grad_(True)
        self.noise = None
        share = float(self.parts["noise_shares"][step])
        if share > 0:
            seed = int(self.parts["noise_seeds"][step]) & 0xFFFFFFFF
            noise = gaussian(seed, self.change.numel()).astype(np.float64) * share
            self.noise = torch.from_numpy(noise.astype(np.float32)).view_as(self.change).to(self.device)

    def shaken(self):
        rows = self.parts["vanilla"] + self.change
        if self.noise is None:
            return rows
        # A share of each row as it is by now.
        return rows + self.noise * rows.square().mean(dim=1, keepdim=True).sqrt().detach()

    def backward(self, part, device, world):
        ids, given = padded(part, device)
        owner, row = self.places = places_of(part, device)
        on = lambda bit: torch.tensor([bool(example["variants"] & bit) for example in part], device=device)
        before = torch.tensor([int(example["befores"]) for example in part], device=device)
        is_own = torch.arange(ids.shape[1], device=device)[None, :] >= before[:, None]
        self.rows_on, self.adapter_on = (is_own & on(bit)[:, None] for bit in (self.ROWS, self.ADAPTER))
        self.labels_on = on(self.ROWS)[owner]
        self.rows = self.shaken()
        logits = self.model(input_ids=ids, **given).logits[0]
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        label = lambda key, dtype=torch.long: labels_of(part, key, dtype, device)
        picked = logprobs.gather(1, label("tokens_wanted")[:, None])[:, 0]
        other = label("alternatives")
        second = logprobs.gather(1, other.clamp(min=0)[:, None])[:, 0]
        # log(p + p') = log p + log(1 + p'/p)
        picked = picked + torch.log(1 + torch.exp((second - picked).clamp(max=60)) * (other >= 0))
        kinds = label("kinds")
        silence = torch.log(1 + 1e-6 - torch.exp(picked.clamp(max=0)))
        still_open = 1 - torch.exp(picked) * self.trains["loss"]["focus"]
        loss = -(label("weights", torch.float32) * torch.where(kinds == self.HUSHED, silence, still_open * picked)).sum()
        loss.backward()
        fired = picked.detach().double()[kinds == self.WANTED]
        return loss.detach().double(), -fired.sum(), len(fired)

    def moved(self):
        """By how much trained tokens' logits move at ordinary positions [N, R]: through what the head's products go through."""
        shift = self.parts["ref_hidden"] @ self.change.T
        scale, cap = self.trains["logits"]["scale"], self.trains["logits"]["softcap"]
        shift = shift if scale is None else shift * scale
        if cap is None:
            return shift
        before = self.parts["ref_products"] if scale is None else self.parts["ref_products"] * scale
        bent = lambda x: torch.tanh(x / cap)
        return cap * bent(shift) * (1 - bent(before) * bent(before + shift))

    def end(self, rank, world):
        beside = 0.0
        if self.trains["positions"] is not None and rank == 0:
            settings, p = self.trains["loss"], self.parts["ref_probability"]
            shift, weight = self.moved(), self.parts["ref_weight"]
            mass = (p * shift.exp()).sum(dim=1)
            exact = ((mass - p.sum(dim=1) + 1).log() - (p * shift).sum(dim=1)) * weight
            guarded = (mass * math.exp(settings["margin"]) + 1).log() * weight
            spread = (shift.square().mean(dim=1) * weight).sum()
            loss = settings["kl"] * (exact.sum() + guarded.sum()) + settings["spread"] * spread
            loss.backward()
            beside = loss.detach().double()
        if self.change.grad is None:
            self.change.grad = torch.zeros_like(self.change)
        dist.all_reduce(self.change.grad)
        self.whole.backward(self.change.grad)
        return beside


# --- what trains -----------------------------------------------------------------------------------------------------


class LowRank(torch.nn.Module):
    """x·W + scale·(x·Aᵀ)·Bᵀ over a linear layer."""

    def __init__(self, base, a, b, scale):
        super().__init__()
        self.base, self.scale = base, scale
        self.a, self.b = torch.nn.Parameter(a), torch.nn.Parameter(b)

    def forward(self, x):
        return self.base(x) + self.scale * F.linear(F.linear(x, self.a), self.b)


class LowRankTable(torch.nn.Module):
    """What is looked up in an embedding W, + scale·B·A at its ids. Of a tied head the sum is a constant of the backward pass."""

    def __init__(self, base, head, a, b, scale):
        super().__init__()
        self.base, self.scale = base, scale
        self.a, self.b = torch.nn.Parameter(a), torch.nn.Parameter(b)
        self.embed_scale = scale_of(base)
        if head is not None and head.weight is base.weight:
            # All of it belongs to the root of FSDP, whose parameters are whole during the forward pass.
            head.forward = types.MethodType(self.head, head)

    def forward(self, ids):
        e = F.embedding(ids, self.base.weight)
        e = e + self.scale * F.linear(F.embedding(ids, self.a.T), self.b)
        return e * self.embed_scale if self.embed_scale != 1.0 else e

    def head(self, layer, x):
        return F.linear(x, layer.weight.detach(), layer.bias) + self.scale * F.linear(F.linear(x, self.b.detach().T), self.a.detach().T)


def scale_of(table):
    """What transformers multiplies looked-up rows by."""
    scale = getattr(table, "embed_scale", None)
    if scale is None and type(table) is not torch.nn.Embedding:
        raise Refused(f"transformers {version('transformers')} looks embeddings up in its own way here: train with Whorl's own engine")
    return 1.0 if scale is None else float(scale)


def named(model, name):
    try:
        return model.get_parameter(name)
    except AttributeError:
        raise Refused(f"transformers {version('transformers')} has no parameter {name} in this model: train with Whorl's own engine") from None


def bind_tensors(model, job):
    """Whole parameters. @returns Whorl's names with the parameters"""
    trained = {own: named(model, there) for own, there in job["trains"]["tensors"].items()}
    for parameter in trained.values():
        parameter.requires_grad_(True)
    return lambda: {own: model.get_parameter(there) for own, there in job["trains"]["tensors"].items()}


def bind_lookups(model, job):
    """The embedding by what is looked up in it: for a tied head it is a constant of the backward pass."""
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is table.weight:
        # The table belongs to the root of FSDP, whose parameters are whole during the forward pass.
        head.forward = types.MethodType(lambda self, x: F.linear(x, self.weight.detach(), self.bias), head)
    return bind_tensors(model, job)


def bind_low_rank(model, job):
    start = load_file(HOME / "start.safetensors")
    layers = job["trains"]["layers"]
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    for layer in layers:
        base = model.get_submodule(layer["module"])
        parent, _, last = layer["module"].rpartition(".")
        begun = (start[layer["a"]], start[layer["b"]], job["trains"]["scale"])
        maps = LowRankTable(base, head, *begun) if base is table else LowRank(base, *begun)
        setattr(model.get_submodule(parent), last, maps)
    return lambda: {
        layer[which]: getattr(model.get_submodule(layer["module"]), which) for layer in layers for which in ("a", "b")
    }


BINDERS = {"tensors": bind_tensors, "lookups": bind_lookups, "low-rank": bind_low_rank}


def blocks_of(model):
    """The blocks of the body: the longest list of modules that lies in no other list."""
    lists = [(name, m) for name, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 0]
    outer = [m for name, m in lists if not any(name.startswith(f"{other}.") for other, _ in lists)]
    return list(max(outer, key=len, default=[]))


def open_objective(job, folder, mesh, device):
    """The model, sharded, under what it is trained for."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    model.requires_grad_(False)
    model.eval()  # Whorl's graphs have no dropout
    kind = job["trains"]["kind"]
    trained = BINDERS[kind](model, job) if kind in BINDERS else None
    overlay = None if trained else Overlay(model, job, device)
    policy = MixedPrecisionPolicy(param_dtype=DTYPES[job["dtype"]], reduce_dtype=torch.float32)
    for block in blocks_of(model):
        if job["recompute"]:
            block.forward = partial(recomputed, block.forward, use_reentrant=False)
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return overlay or Wanted(model, trained())


def local(tensor):
    """What lies on this rank: a shard, or the whole of what each has."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


# --- a step ----------------------------------------------------------------------------------------------------------


class AdamW:
    """As Whorl's own: p ← p·(1 − ηλ) − η/c₁·m/(√v/c₂ + ε), clipped by the norm of the whole gradient."""

    def __init__(self, trained, settings, shared):
        self.trained, self.settings, self.shared = trained, settings, shared
        self.m = {name: torch.zeros_like(p) for name, p in trained.items()}
        self.v = {name: torch.zeros_like(p) for name, p in trained.items()}

    @torch.no_grad()
    def norm(self, device):
        squares = torch.zeros((), dtype=torch.float64, device=device)
        for p in self.trained.values():
            squares += local(p.grad).double().square().sum()
        if not self.shared:
            dist.all_reduce(squares)
        return math.sqrt(squares.item())

    @torch.no_grad()
    def step(self, rate, step, norm):
        s = self.settings
        factor = 1.0 if s["clip"] is None else min(1.0, s["clip"] / (norm + 1e-6))
        c1, c2 = 1 - s["beta1"] ** step, math.sqrt(1 - s["beta2"] ** step)
        for name, p in self.trained.items():
            g = local(p.grad) * factor
            value, m, v = local(p), local(self.m[name]), local(self.v[name])
            value.mul_(1 - rate * s["decays"][name])
            m.mul_(s["beta1"]).add_(g, alpha=1 - s["beta1"])
            v.mul_(s["beta2"]).addcmul_(g, g, value=1 - s["beta2"])
            value.sub_(m / (v.sqrt() / c2 + s["epsilon"]) * (rate / c1))
            p.grad = None

    def state(self):
        """By name, sharded as it lies: what a checkpoint holds."""
        return {
            f"{kind}/{name}": tensor.detach()
            for kind, of in (("value", self.trained), ("m", self.m), ("v", self.v))
            for name, tensor in of.items()
        }


class Run:
    """The loop: steps, progress, checkpoints, and the states that Whorl measures."""

    def __init__(self, job_id, job, device, rank, world):
        self.job_id, self.job, self.device, self.rank, self.world = job_id, job, device, rank, world
        self.losses, self.lines, self.kept = [], [], []
        self.seconds, self.started, self.written = 0.0, time.monotonic(), 0.0
        self.ending = False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "ending", True))

    def spent(self):
        return self.seconds + time.monotonic() - self.started

    def agreed(self, *flags):
        """Whether any rank wants it, for each flag."""
        flags = torch.tensor([float(flag) for flag in flags], device=self.device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return [bool(flag) for flag in flags.tolist()]

    def say(self, line, now=False):
        self.lines.append(json.dumps(line))
        if self.rank == 0 and (now or time.monotonic() - self.written > 0.5):
            write_text(RESULT / "progress.jsonl", "".join(f"{each}\n" for each in self.lines))
            self.written = time.monotonic()

    def keep(self, step, optimiser):
        """What trains as it is now, whole, for Whorl to measure."""
        name = f"step-{step:08d}.safetensors"
        values = {own: whole(p.detach()).cpu().contiguous() for own, p in optimiser.trained.items()}
        if self.rank == 0:
            temporary = RESULT / f".{name}.tmp"
            save_file(values, temporary)
            os.replace(temporary, RESULT / name)
            self.kept.append({"step": step, "file": name, "sha256": digest(RESULT / name)})
            self.report(step, done=False)
        self.say({"kind": "kept", "step": step, "file": name}, now=True)

    def report(self, step, done):
        write_json(
            RESULT / "result.json",
            {
                "format": "whorl-job-result",
                "version": 1,
                "job": self.job_id,
                "done": done,
                "steps": step,
                "losses": self.losses,
                "seconds": self.spent(),
                "kept": self.kept,
                "torch": torch.__version__,
                "transformers": version("transformers"),
                "ranks": self.world,
                "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
                **({"peak_bytes": torch.cuda.max_memory_allocated()} if self.device.type == "cuda" else {}),
            },
        )

    def save(self, step, optimiser):
        folder = STATE / f"step-{step:08d}"
        dcp.save(optimiser.state(), checkpoint_id=str(folder))
        dist.barrier()
        if self.rank == 0:
            about = {"step": step, "losses": self.losses, "seconds": self.spent(), "kept": self.kept, "job": self.job_id}
            write_json(STATE / "latest.json", about)
            for old in STATE.glob("step-*"):
                if old != folder:
                    for file in old.iterdir():
                        file.unlink()
                    old.rmdir()
        dist.barrier()

    def resume(self, optimiser):
        """@returns the step to go on from"""
        latest = STATE / "latest.json"
        if not latest.exists():
            return 0
        try:
            about = json.loads(latest.read_text())
            if about["job"] != self.job_id:
                raise Refused("state/ is of another job: remove it to begin this one")
            dcp.load(optimiser.state(), checkpoint_id=str(STATE / f"step-{about['step']:08d}"))
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, dcp.api.CheckpointException) as error:
            raise Refused(f"state/ is damaged ({type(error).__name__}): remove it to begin from the first step") from error
        self.losses, self.seconds, self.kept = about["losses"], about["seconds"], about["kept"]
        for step, loss in enumerate(self.losses):
            self.lines.append(json.dumps({"kind": "step", "step": step + 1, "loss": loss}))
        return about["step"]

    def asked_to_stop(self, step):
        """Where Whorl follows on the same machine, it measures what was kept and says whether to go on."""
        if not FOLLOWER:
            return False
        stop = False
        if self.rank == 0:
            while not (HOME / f"go-{step}").exists() and not self.ending and is_alive(FOLLOWER):
                if (HOME / "stop").exists():
                    stop = True
                    break
                time.sleep(0.1)
        return self.agreed(stop)[0]

    def train(self, objective, optimiser, batches):
        job, rates = self.job, self.job["rates"]
        step = self.resume(optimiser)
        saved, saved_at = step, time.monotonic()
        self.say({"kind": "started", "step": step, "steps": len(rates)}, now=True)
        if 0 < step < len(rates) and self.kept and self.kept[-1]["step"] == step:  # ended while it was being measured
            self.say({"kind": "kept", "step": step, "file": self.kept[-1]["file"]}, now=True)
            if self.asked_to_stop(step):
                rates = rates[:step]
        die_at = int(os.environ.get("WHORL_TEST_DIE", "-1"))  # a rank that dies, for tests
        while step < len(rates):
            parts = batches.of_ranks(step, self.world)[self.rank]
            objective.begin(step)
            sums = torch.zeros(3, dtype=torch.float64, device=self.device)  # loss; that of wanted labels, and their count
            for part in parts:
                for i, value in enumerate(objective.backward(part, self.device, self.world)):
                    sums[i] += value
            sums[0] += objective.end(self.rank, self.world)
            dist.all_reduce(sums)
            loss, wanted = sums[0].item(), sums[1].item() / max(1.0, sums[2].item())
            norm = optimiser.norm(self.device)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise Refused(f"step {step + 1}: the loss is {loss} and the gradient's norm {norm}: lower lr")
            optimiser.step(rates[step], step + 1, norm)
            step += 1
            self.losses.append(loss)
            self.say({"kind": "step", "step": step, "loss": loss, "norm": norm, "seconds": round(self.spent(), 3)})
            if step == die_at and self.rank == self.world - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            below = job.get("keep_below")
            if step in job["keep"] and (below is None or wanted <= below["loss"] or step in below["always"]):
                self.keep(step, optimiser)
                self.save(step, optimiser)
                saved, saved_at = step, time.monotonic()
                if step < len(rates) and self.asked_to_stop(step):
                    break
            left = FOLLOWER and not is_alive(FOLLOWER)
            due, ending = self.agreed(time.monotonic() - saved_at >= job["checkpoint_seconds"], self.ending or left)
            if (due or ending) and saved < step:
                self.save(step, optimiser)
                saved, saved_at = step, time.monotonic()
            if ending:
                self.say({"kind": "interrupted", "step": step}, now=True)
                return
        if self.rank == 0:
            self.report(step, done=True)
        self.say({"kind": "done", "step": step}, now=True)


# --- beginning and end -----------------------------------------------------------------------------------------------


def main():
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    job_id = check_job()
    job = json.loads((HOME / "job.json").read_text())
    check_ranks(job, world)
    folder = Path(os.environ["MODEL"])
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda and local >= torch.cuda.device_count():
        raise Refused(f"{torch.cuda.device_count()} GPUs are here and rank {local} of this machine has none: lower NPROC")
    if local == 0:
        check_model(folder, job["model"]["files"])
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = False  # float32 is meant where it is asked for
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(days=1))
    try:
        mesh = init_device_mesh(device.type, (world,))
        RESULT.mkdir(mode=0o700, exist_ok=True)
        STATE.mkdir(mode=0o700, exist_ok=True)
        if rank == 0:
            lock = hold(STATE / "lock")
        run = Run(job_id, job, device, rank, world)
        for text in warned(torch.__version__):
            run.say({"kind": "note", "text": text}, now=True)
        batches = Batches(job)
        objective = open_objective(job, folder, mesh, device)
        run.train(objective, AdamW(objective.trained, job["optimiser"], objective.shared), batches)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        tell_failure(error)
