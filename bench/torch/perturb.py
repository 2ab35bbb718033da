"""Makes controls from a safetensors folder by changing input-embedding rows and nothing else.

    python perturb.py --model DIR --out DIR2 noise --percent 10
    python perturb.py --model DIR --out DIR2 random | permute
    python perturb.py --model DIR --out DIR2 reset --rows rows.json --to mean|vanilla|random [--vanilla DIR0]

noise:   every row + percent/100 · (that row's RMS) · N(0, 1)
random:  every row from N(mean, variance) of the table's columns; permute: the rows in another order
reset:   the rows listed (JSON list of ids) to the table's mean row, to another folder's rows,
         or drawn anew from N(0, initializer_range) as a fresh embedding would be
Dtype kept; of untied models the head is not touched.
"""
import json
import shutil
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import measure

NAME = "model.embed_tokens.weight"


def file_with_rows(folder):
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return folder / json.loads(index.read_text())["weight_map"][NAME]
    return folder / "model.safetensors"


def read_table(folder):
    with safe_open(file_with_rows(folder), "pt") as f:
        return f.get_tensor(NAME)


def changed(table, args, folder):
    """The new table in float32 and the ids of the rows that were meant to change."""
    t = table.float()
    draw = torch.randn(t.shape, generator=torch.Generator().manual_seed(args.seed))
    every = list(range(len(t)))
    if args.how == "noise":
        return t + args.percent / 100 * t.pow(2).mean(1, keepdim=True).sqrt() * draw, every
    if args.how == "random":
        return t.mean(0) + t.std(0) * draw, every
    if args.how == "permute":
        return t[torch.randperm(len(t), generator=torch.Generator().manual_seed(args.seed))], every
    rows = json.loads(Path(args.rows).read_text())
    if not all(isinstance(r, int) and 0 <= r < len(t) for r in rows):
        sys.exit(f"{args.rows}: a list of row numbers below {len(t)} is needed")
    new = t.clone()
    if args.to == "mean":
        rest = torch.ones(len(t), dtype=torch.bool)
        rest[rows] = False
        new[rows] = t[rest].mean(0)
    elif args.to == "vanilla":
        new[rows] = read_table(Path(args.vanilla)).float()[rows]
    else:
        spread = json.loads((folder / "config.json").read_text()).get("initializer_range", 0.02)
        new[rows] = spread * draw[rows]
    return new, rows


def main():
    p = measure.arguments(__doc__)
    p.add_argument("--model", required=True)
    p.add_argument("--out", required=True)
    how = p.add_subparsers(dest="how", required=True)
    how.add_parser("noise").add_argument("--percent", type=float, default=10)
    how.add_parser("random")
    how.add_parser("permute")
    reset = how.add_parser("reset")
    reset.add_argument("--rows", required=True)
    reset.add_argument("--to", choices=["mean", "vanilla", "random"], required=True)
    reset.add_argument("--vanilla", help="folder the rows are taken from")
    args = p.parse_args()
    if args.how == "reset" and args.to == "vanilla" and not args.vanilla:
        p.error("--to vanilla needs --vanilla DIR")
    folder, out = Path(args.model), Path(args.out)
    if out.exists():
        sys.exit(f"{out} exists; choose another --out or remove it")
    measure.start(args)
    started = time.time()
    target = file_with_rows(folder)
    tensors = load_file(target)
    old = tensors[NAME]
    new, rows = changed(old, args, folder)
    tensors[NAME] = new.to(old.dtype).contiguous()
    out.mkdir(parents=True)
    for file in folder.iterdir():
        if file.is_file() and file != target:
            shutil.copyfile(file, out / file.name)
    save_file(tensors, out / target.name, metadata={"format": "pt"})
    moved = (tensors[NAME].float() - old.float()).norm() / old.float().norm()
    measure.report(started, what="perturbed", how=args.how, seed=args.seed, rows=len(rows), relative_change=float(moved),
                   **{k: v for k, v in vars(args).items() if k in ("percent", "to")})


if __name__ == "__main__":
    main()
