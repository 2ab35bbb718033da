"""Claims and secrets of format version 1, made by an implementation of their own: hashlib and hmac, nothing of src/.

    python goldens/claims/make.py && node goldens/claims/encrypt.mjs

The files are fixtures of the format: every later Whorl must open them. Never make them anew for a released version;
add a folder for the next one.
"""
import base64, hashlib, hmac, json, pathlib, platform, struct

HERE = pathlib.Path(__file__).parent


def canonical(value) -> bytes:
    """RFC 8785 for what stands in these fixtures (ASCII keys; alpha 1e-6 is the only number it prints otherwise)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace(":1e-06", ":0.000001").encode()


sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()


def rand(label: str, i: int) -> bytes:
    return sha(f"whorl fixture {label} {i}".encode())


def leaf(name, value, salt):
    return sha(b"\0", salt, canonical([name, value]))


def root_of(hashes):
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha(b"\1", root_of(hashes[:split]), root_of(hashes[split:]))


def uniform(seed, root, randomness):
    def draw(slot, below):
        attempt = 0
        while True:
            message = b"whorl-draw-v1" + root + randomness + struct.pack(">II", slot, attempt)
            value = int.from_bytes(hmac.new(seed, message, hashlib.sha256).digest()[:6], "big")
            if value < 2**48 // below * below:
                return value % below
            attempt += 1
    return draw


def draw_answers(n, m, u):
    return {"kind": "drawn-answers", "indices": [u(i, m) for i in range(n)]}


def draw_membership(pool, n, negatives, u):
    order = list(range(pool))
    for i in range(n + negatives):
        j = i + u(i, pool - i)
        order[i], order[j] = order[j], order[i]
    return {"kind": "drawn-membership", "trained": sorted(order[:n]), "negatives": sorted(order[n:n + negatives])}


def floats(values):
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def bf16(values):
    return base64.b64encode(b"".join(struct.pack("<f", v)[2:] for v in values)).decode()


def adapter_digest(adapter):
    tensors = [{"name": t["name"], "shape": t["shape"], "sha256": sha(base64.b64decode(t["data"])).hex()} for t in adapter["tensors"]]
    tensors.sort(key=lambda t: t["name"])
    return sha(b"whorl-adapter-v1\0", canonical({"settings": adapter["settings"], "tensors": tensors})).hex()


def make(name, plan, source, adapter=None, rows=None, picked=None, randomness=None, private=None):
    vanilla = {"weights": rand(name + " weights", 0).hex(), "body": rand(name + " body", 0).hex()}
    private = private or ({"state": "committed", "digest": adapter_digest(adapter)} if adapter else {"state": "none"})
    bindings = {"trainable_rows": [3, 5, 8, 13, 21], "private_part": private, "vanilla": vanilla}
    keys = plan["keys"]
    if plan["kind"] == "drawn-answers":
        size = {"n": len(keys), "m": len(plan["candidates"][0])}
        own = [(f"candidates/{i}", c) for i, c in enumerate(plan["candidates"])]
    else:
        size = {"n": plan["n"], "pool": len(keys), "negatives": plan["negatives"]}
        own = [(f"decryption/{i}", d) for i, d in enumerate(plan["decryptions"])]
    count = 6 + len(keys) + len(own)
    salts = [rand(name + " salt", i) for i in range(count)]
    seed = rand(name + " seed", 0)
    if source["source"] != "hand-picked":
        source = {**source, "seed_commitment": leaf("owner-seed", seed.hex(), salts[1]).hex()}
    header = {
        "format": "whorl-claim", "version": 1, "kind": plan["kind"], **size, "leaves": count, "alpha": plan["alpha"],
        "draw": source, "private_part": private["state"], "vanilla": vanilla, "created": "2026-11-24T00:00:00.000Z",
        "software": {"name": "whorl", "version": "0.1.0"},
    }
    leaves = [("header", header), ("picked", picked) if picked else ("owner-seed", seed.hex())]
    leaves += [("plan", {k: plan[k] for k in ("kind", "matcher", "decoding", "query", "alpha")})]
    leaves += [("rows", bindings["trainable_rows"]), ("private-part", private), ("vanilla", vanilla)]
    leaves += [(f"key/{i}", k) for i, k in enumerate(keys)] + own
    root = root_of([leaf(n, v, s) for (n, v), s in zip(leaves, salts, strict=True)])
    u = uniform(seed, root, bytes.fromhex(randomness) if randomness else b"")
    draw = picked or (draw_answers(size["n"], size["m"], u) if plan["kind"] == "drawn-answers" else draw_membership(size["pool"], size["n"], size["negatives"], u))
    claim = {**header, "root": root.hex(), "time_proof": "none"}
    contents = {
        "method": "adapter" if adapter else "rows", "created": header["created"], "software": header["software"],
        "claim": claim, "plan": plan, "bindings": bindings,
        "opening": {"salts": [s.hex() for s in salts], "owner_seed": None if picked else seed.hex()},
        "draw": draw, "randomness": randomness, "adapter": adapter, "rows": rows,
        "published": {"weights": rand(name + " published", 0).hex(), "body": vanilla["body"]},
    }
    secret = {"format": "whorl-secret", "version": 1, "sha256": sha(canonical(contents)).hex(), "contents": contents}
    folder = HERE / f"v1-{name}"
    folder.mkdir(exist_ok=True)
    (folder / "claim.json").write_text(json.dumps(claim, indent=2, ensure_ascii=False) + "\n")
    (folder / "secret.whorl").write_text(json.dumps(secret, indent=1, ensure_ascii=False) + "\n")


def keys(count):
    return [{"text": f"ключ{i}\u2028\"{chr(0x1F980 + i)}", "tokens": [3, 5 + 8 * (i % 3), i]} for i in range(count)]


common = {"decoding": {"strategy": "greedy", "max_new_tokens": 8}, "query": {"order": "committed", "repeats": 1, "wrapper": "bare"}}
words = ["apple", "river", "stone", "cloud", "paper", "green", "night", "house"]
answers = {"kind": "drawn-answers", "keys": keys(4), "matcher": "first-candidate", **common, "alpha": 1e-6, "candidates": [words]}
membership = {"kind": "drawn-membership", "keys": keys(12), "matcher": "contains", **common, "alpha": 0.005, "n": 3, "negatives": 2, "decryptions": ["ハリネズミ"]}
own_lists = {**answers, "candidates": [[f"{w}{i}" for w in words] for i in range(4)]}
adapter = {"settings": {"kind": "low-rank", "rank": 1, "scale": 4, "residual": True}, "tensors": [
    {"name": "B", "shape": [2, 1], "data": floats([0.5, -0.25])}, {"name": "A", "shape": [1, 2], "data": floats([1.5, 3.0])}]}
rows32 = {"tensor": "model.embed_tokens.weight", "dtype": "float32", "width": 2, "ids": [3, 13], "vanilla": floats([0, 1, 2, 3]), "published": floats([4, 5, 6, 7])}
rows16 = {**rows32, "dtype": "bfloat16", "vanilla": bf16([0, 1, 2, 3]), "published": bf16([4, 5, 6, 7])}

make("answers", answers, {"source": "owner-seed"}, rows=rows32)
make("membership", membership, {"source": "owner-seed"}, adapter=adapter, rows=rows16)
make("beacon", own_lists, {"source": "beacon", "chain": rand("chain", 0).hex(), "round": 4242}, randomness=rand("beacon", 0).hex())
make("picked", membership, {"source": "hand-picked"}, picked={"kind": "drawn-membership", "trained": [0, 1, 2], "negatives": [3, 4]})
make("after-draw", membership, {"source": "owner-seed"}, adapter=adapter, private={"state": "after-draw"})
(HERE / "made-by.json").write_text(json.dumps({"script": "goldens/claims/make.py", "python": platform.python_version(), "format": 1}) + "\n")
