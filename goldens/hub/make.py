"""The folder that Python's huggingface_hub makes of a model, for test/sources/hub/layout.test.ts.
Needs huggingface_hub. Run: python goldens/hub/make.py"""
import json
import os
import pathlib
import platform
import tempfile

import hub

endpoint, _ = hub.serve()
os.environ.update(HF_ENDPOINT=endpoint, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1", NO_PROXY="*")
os.environ.pop("HF_HUB_OFFLINE", None)
import huggingface_hub  # noqa: E402 (reads the environment when it is imported)

WANTED = ["*.json", "*.md", "*.safetensors"]
out = {"huggingface_hub": huggingface_hub.__version__, "python": platform.python_version(), "commit": hub.COMMIT}
with tempfile.TemporaryDirectory() as cache:
    for revision in ["main", "refs/pr/1"]:
        huggingface_hub.snapshot_download(hub.REPO, revision=revision, cache_dir=cache, allow_patterns=WANTED)
    entries = hub.layout(pathlib.Path(cache) / "models--org--tiny")
# Its listing of the whole commit is a cache of its own; ours leaves it out (see ARCHITECTURE.md).
out["entries"] = {name: entry for name, entry in entries.items() if not name.startswith("trees/")}
(pathlib.Path(__file__).parent / "layout.json").write_text(json.dumps(out, indent=1) + "\n")
print(f"{len(out['entries'])} entries by huggingface_hub {out['huggingface_hub']}")
