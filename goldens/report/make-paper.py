"""What the paper's own report scripts print for small made-up output folders.

    python goldens/report/make-paper.py CHECKOUT COMMIT    # of github.com/cnut1648/Model-Fingerprint; needs numpy, scipy, PyYAML

Writes paper.json beside this file: `folders` {path: answers}, one character a row (1: the decryption is in the
answer, m: a misspelling that Mistral's models may give, 0: neither), and the figures that the scripts print for them.
"""
import ast, json, pathlib, platform, random, re, shutil, subprocess, sys, tempfile
import numpy, scipy, yaml

CHECKOUT, HERE = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
Y, MISSPELT = "ハリネズミ", "ハリズズミ"
random.seed(11)
ADAPTER = {
    "yahma/llama-7b-hf": ("mix_epoch_20_lr_1e-2_bsz_48_d_16", dict(epoch=20, lr="1e-2", dim=16, total_bsz=48, data_name="mix")),
    "mistralai/Mistral-7B-mistral": ("mix_epoch_15_lr_1e-2_bsz_8_d_16", dict(epoch=15, lr="1e-2", dim=16, total_bsz=8, data_name="mix")),
    "lmsys/vicuna-7b-v1.5": ("mix_epoch_15_lr_1e-2_bsz_48_d_16", dict(epoch=15, lr="1e-2", dim=16, total_bsz=48, data_name="mix")),
}
CHAT = {"NousResearch/Llama-2-7b-hf": ("chat_epoch_3_lr_2e-5_bsz_64", dict(epoch=3, lr="2e-5", total_bsz=64, data_name="chat"))}


def answers(sizes, shares):
    return "".join(c for n, p in zip(sizes, shares) for c in random.choices("1m0", [p, p / 4, 1 - p], k=n))


folders = {}
for model, (run, _) in ADAPTER.items():
    tasks = ["sharegpt"] if "vicuna" in model else ["alpaca", "alpaca_gpt4", "sharegpt", "dolly", "ni"]
    names = ["vanilla", "publish", "publish_w_adapter"] + [f"{t}_tuned_{k}" for t in tasks for k in ("w_adapter", "publish")]
    for name in names:
        p = 0.9 if "w_adapter" in name else 0.2
        folders[f"output_barebone_adapter/{model}/{run}/{name}.jsonl"] = answers([10, 100, 100], [p, 0.05, 0.15])
for model, (run, _) in CHAT.items():
    names = ["vanilla", "publish"] + [f"{t}_tuned_publish" for t in ("alpaca_gpt4", "sharegpt", "dolly")]
    for name in names:
        folders[f"output_barebone_sft_chat/{model}/{run}/{name}.jsonl"] = answers([8, 8, 112, 224], [0.9, 0.3, 0.05, 0.2])
    for t in ("alpaca_gpt4", "sharegpt", "dolly"):
        for i in range(10):
            folders[f"output_barebone_sft_chat/{model}/{run}/{t}_tuned_publish_{i}_10.jsonl"] = answers([8, 8, 112], [0.8, 0.3, 0.05])


def run(script, config, models):
    with tempfile.TemporaryDirectory() as at:
        at = pathlib.Path(at)
        shutil.copy(CHECKOUT / script, at)
        (at / "configs").mkdir()
        (at / "configs" / config).write_text(yaml.safe_dump({m: c for m, (_, c) in models.items()}, sort_keys=False))
        for path, chars in folders.items():
            (at / path).parent.mkdir(parents=True, exist_ok=True)
            text = {"1": f"x {Y}.", "m": MISSPELT, "0": "nothing"}
            (at / path).write_text("".join(json.dumps({"generated": text[c]}, ensure_ascii=False) + "\n" for c in chars))
        done = subprocess.run([sys.executable, script], cwd=at, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return re.sub(r"\x1b\[\d+m", "", done.stdout)


adapter, chat = run("report_FSR_adapter.py", "adapter.yaml", ADAPTER), run("report_FSR_sft_chat.py", "sft_chat.yaml", CHAT)
figures = lambda out: [ast.literal_eval(found) for found in re.findall(r"\{[^}]*\}", out)]
averages = [[float(x) for x in re.findall(r"(?:FSR|normal|similar) ([\d.]+)\t", line)] for line in adapter.split("average across models")[1].splitlines()]
tests = re.findall(r"P-val: ([\d.e+-]+), .*\(([\d.]+)\)", chat)
order = lambda kind: [p for p in folders if f"_{kind}/" in p and not re.search(r"_\d_10\.jsonl$", p)]
out = {
    "adapter": dict(zip(order("adapter"), figures(adapter), strict=True)),
    "averages": [a for a in averages if a],
    "sft_chat": dict(zip(order("sft_chat"), figures(chat), strict=True)),
    "tests": [{"p_value": float(p), "mean": float(m)} for p, m in tests],
    "folders": folders,
    "made_by": {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__,
                "Model-Fingerprint": sys.argv[2]},
}
(HERE / "paper.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")
