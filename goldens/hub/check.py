"""Python's huggingface_hub opens a cache that Whorl wrote, and Whorl one that Python wrote.
Needs huggingface_hub and Node. Run: python goldens/hub/check.py   (from the repository)"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import hub

endpoint, asked = hub.serve()
os.environ.update(HF_ENDPOINT=endpoint, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1", NO_PROXY="*")
os.environ.pop("HF_HUB_OFFLINE", None)
import huggingface_hub as hf  # noqa: E402

root = hub.here.parent.parent
content = hub.files()
wanted = [name for name in content if name.endswith((".json", ".safetensors"))]


def whorl(cache, name, **env):
    done = subprocess.run(["npx", "tsx", "src/cli/main.ts", "inspect", name, "--json"], cwd=root, capture_output=True,
                          text=True, env={**os.environ, "HF_HUB_CACHE": cache, **env})
    if done.returncode != 0:
        sys.exit(f"whorl inspect {name} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def same(folder):
    for name in wanted:
        assert (folder / name).read_bytes() == content[name], name
    return len(wanted)


print(f"huggingface_hub {hf.__version__}, Python {sys.version.split()[0]}")
with tempfile.TemporaryDirectory() as cache:
    whorl(cache, hub.REPO)
    fetched = {path.rsplit("/", 1)[-1] for _, path in asked if "/resolve/" in path}
    assert fetched == set(wanted), fetched
    for revision in ["main", hub.COMMIT]:
        folder = pathlib.Path(hf.snapshot_download(hub.REPO, revision=revision, cache_dir=cache, local_files_only=True))
        print(f"ours, opened by snapshot_download({revision[:8]}, local_files_only): {same(folder)} files, equal")
    for name in wanted:
        path = hf.try_to_load_from_cache(hub.REPO, name, cache_dir=cache)
        assert isinstance(path, str) and pathlib.Path(path).read_bytes() == content[name]
        assert hf.hf_hub_download(hub.REPO, name, cache_dir=cache, local_files_only=True) == path
    info = hf.scan_cache_dir(cache)
    repo, = info.repos
    revision, = repo.revisions
    assert not info.warnings, info.warnings
    print(f"ours, by scan_cache_dir: {repo.repo_id}, {len(revision.files)} files, refs {sorted(revision.refs)}, no warnings")
    asked.clear()
    hf.snapshot_download(hub.REPO, cache_dir=cache)
    again = {path.rsplit("/", 1)[-1] for method, path in asked
             if method == "GET" and ("/resolve/" in path or "/cdn/" in path)}
    print(f"Python completes it online: fetches only {sorted(again)}")
    assert again == set(content) - set(wanted)
with tempfile.TemporaryDirectory() as cache:
    hf.snapshot_download(hub.REPO, cache_dir=cache, allow_patterns=wanted)
    asked.clear()
    report = whorl(cache, hub.REPO, HF_HUB_OFFLINE="1")
    assert not asked
    print(f"theirs, opened by whorl with HF_HUB_OFFLINE=1: {report['parameters']} parameters in {len(report['tensors'])} tensors")
    whorl(cache, hub.REPO)
    assert not [path for _, path in asked if "/resolve/" in path]
    print("theirs, opened by whorl online: no file fetched again")
