"""The paper's own harmlessness report over small made-up results, and over its own files.

    python goldens/report/make-harmlessness.py CHECKOUT [--own]   # of https://github.com/cnut1648/Model-Fingerprint

Writes harmlessness.json beside this file: made-up results files by their paths, and the tables of report_eval.py over them,
which runs where it lies with stubs in the place of the libraries that draw. With --own it prints the tables over the
checkout's own results instead, which are not kept here. Needs numpy, pandas, PyYAML.
"""
import json, os, pathlib, random, sys, tempfile, types

import pandas, yaml

TARGET = pathlib.Path(__file__).resolve().parent / "harmlessness.json"
CHECKOUT = pathlib.Path(sys.argv[1]).resolve()
OWN = "--own" in sys.argv
TABLES = []


class Writer:
    def write_table(self):
        TABLES.append({"name": self.table_name, "rows": [[str(x) for x in row] for row in self.value_matrix]})


class Anything:
    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __iter__(self):
        return iter([])

    def __getitem__(self, key):
        return self


def stub(name, **values):
    module = types.ModuleType(name)
    module.__dict__.update(values)
    module.__getattr__ = lambda attribute: Anything()
    sys.modules[name] = module


class Axes(Anything):
    def get_legend_handles_labels(self):
        return [], []


stub("pytablewriter", MarkdownTableWriter=Writer, LatexTableWriter=Writer)
stub("matplotlib")
stub("matplotlib.pyplot")
sys.modules["matplotlib"].pyplot = sys.modules["matplotlib.pyplot"]
grid = Anything()
grid_axes = [Axes()]
Anything.axes = grid_axes
stub("seaborn")


def fingerprinted(params, chat):
    return f"{params['data_name']}_epoch_{params['epoch']}_lr_{params['lr']}_bsz_{params['total_bsz']}" + ("" if chat else f"_d_{params['dim']}")


def made_up(root, config):
    rnd = random.Random(7)
    files = {}
    groups = ["anli_r1,anli_r2,anli_r3", "piqa,openbookqa,headqa,winogrande,logiqa,sciq", "boolq,cb,cola,rte,wic,wsc,copa,multirc,record", "lambada_openai,lambada_standard", "mmlu"]
    inner = {"headqa": ["headqa", "headqa_en", "headqa_es"], "mmlu": ["mmlu", "mmlu_anatomy", "mmlu_stem"]}
    metrics = {"cola": ["mcc"], "record": ["f1", "em"], "cb": ["acc", "f1"], "lambada_openai": ["perplexity", "acc"], "lambada_standard": ["perplexity", "acc"]}
    for model, params in config.items():
        for kind in ("vanilla", "fingerprinted_adapter"):
            base = f"{kind}/{model}" + ("" if kind == "vanilla" else "/" + fingerprinted(params, False))
            for group in groups:
                if (model, kind, group) in {("a/one", "vanilla", "mmlu"), ("a/one", "fingerprinted_adapter", groups[3])}:
                    continue
                for shots in (0, 1, 5):
                    if model == "b/two" and kind != "vanilla" and group == "mmlu" and shots == 5:
                        continue
                    results = {}
                    for name in group.split(","):
                        for task in inner.get(name, [name]):
                            # multiples of 1/16 of a percent: ties when rounded
                            results[task] = {f"{m},none": rnd.choice([rnd.random(), rnd.randrange(0, 1600) / 1600]) for m in metrics.get(task, ["acc", "acc_norm"])}
                            results[task]["acc_stderr,none"] = rnd.random()
                    path = f"{base}/{group}/{shots}.json"
                    twin = path.replace("fingerprinted_adapter", "vanilla").replace("/" + fingerprinted(params, False), "")
                    if model == "b/two" and shots == 1 and group == groups[0] and twin in files:
                        results = files[twin]["results"]
                    files[path] = {"results": results, "git_hash": "aaaa" if kind == "vanilla" or shots else "bbbb"}
    for path, content in files.items():
        file = root / "harmlessness_eval" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return files


def report(folder, mode, name):
    chat = mode == "SFT_chat"
    TABLES.clear()
    pipeline = types.SimpleNamespace(config_name=name, get_fingerprinted_dir=staticmethod(lambda params: fingerprinted(params, chat)))
    stub("pipeline_SFT_chat" if chat else "pipeline_adapter", CustomPipeline=pipeline)
    os.chdir(folder)
    sys.argv = ["report_eval.py", mode]
    source = (CHECKOUT / "report_eval.py").read_text()
    scope = {"__name__": "__main__", "__file__": str(pathlib.Path(folder) / "report_eval.py")}
    try:
        exec(compile(source, "report_eval.py", "exec"), scope)
    except Exception as error:  # the drawing at the end, with stubs in its place
        if len(TABLES) == 0:
            raise
        print(f"after the tables: {error!r}", file=sys.stderr)
    return list(TABLES)


if OWN:
    for mode, name in (("adapter", "adapter"), ("SFT_chat", "sft_chat")):
        print(json.dumps(report(CHECKOUT, mode, name)))
else:
    with tempfile.TemporaryDirectory() as temp:
        root = pathlib.Path(temp)
        config = {"a/one": {"data_name": "mix", "epoch": 30, "lr": "1e-3", "total_bsz": 48, "dim": 16}, "b/two": {"data_name": "mix", "epoch": 20, "lr": "2e-3", "total_bsz": 48, "dim": 16}}
        (root / "configs").mkdir()
        (root / "configs" / "adapter.yaml").write_text(yaml.safe_dump(config))
        files = made_up(root, config)
        tables = report(root, "adapter", "adapter")
        made_by = {"pandas": pandas.__version__, "python": sys.version.split()[0]}
        TARGET.write_text(json.dumps({"made_by": made_by, "files": files, "tables": tables}) + "\n")
