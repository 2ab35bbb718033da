"""Files of a Whorl job: what they must be before anything is computed with them, and what is said of a failure."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HOME = Path(__file__).resolve().parent
RESULT = HOME / "result"
# The process that follows this job on the same machine; where it is gone, the job keeps its state and ends.
FOLLOWER = int(os.environ.get("WHORL_FOLLOWED") or 0)


class Refused(Exception):
    """What a person can mend: one line."""


def write_text(path, text):
    """A reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path, value):
    write_text(path, json.dumps(value) + "\n")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_job():
    """The id of this job, after every file was found to be what Whorl wrote."""
    manifest = HOME / "manifest.json"
    try:
        files = json.loads(manifest.read_text())["files"]
    except (OSError, ValueError, TypeError, KeyError):
        raise Refused("manifest.json of the job is damaged or not there: copy the whole folder again") from None
    for name, wanted in files.items():
        path = HOME / name
        if not path.is_file():
            raise Refused(f"{name} of the job is not there: copy the whole folder again")
        if digest(path) != wanted:
            raise Refused(f"{name} of the job was changed: copy the folder again, or write the job anew")
    return digest(manifest)


def check_model(folder, files):
    for name, wanted in files.items():
        path = folder / name
        if not path.is_file():
            raise Refused(f"the model has no {name}: set MODEL to the folder of the model that the job is for")
        if digest(path) != wanted:
            raise Refused(f"{name} of the model is another one than the job is for: set MODEL to that model's folder")


def check_ranks(job, world):
    asked = int(os.environ.get("WHORL_RANKS") or job["ranks"])
    if world != asked:
        raise Refused(f"ranks that run: {world}, asked for: {asked}: give run.sh NPROC and NNODES, or WHORL_RANKS={world} if it is meant so")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        # A zombie has ended, and whoever began it has not asked how: signals still go to it. Linux alone tells.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return True


def hold(path):
    """What is held as long as this process lives and keeps what it is given."""
    lock = open(path, "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused("this job is running already: wait for it, or end it first") from None
    return lock


def secret_bytes(name):
    """A file of the job; where it is encrypted, its plain bytes, which are never written."""
    locked = HOME / f"{name}.age"
    if not locked.exists():
        return (HOME / name).read_bytes()
    identity = os.environ.get("AGE_IDENTITY")
    if not identity:
        raise Refused("the job is encrypted: set AGE_IDENTITY to the file of the identity it was encrypted to")
    if not os.path.isfile(identity):
        raise Refused(f"AGE_IDENTITY names {identity}, which is no file: give its whole path")
    program = os.environ.get("AGE") or "age"
    try:
        opened = subprocess.run([program, "-d", "-i", identity, str(locked)], capture_output=True)
    except OSError:
        raise Refused(f"the job is encrypted, and there is no program {program} here: install age, or set AGE to it") from None
    if opened.returncode != 0:
        raise Refused("the job cannot be decrypted: AGE_IDENTITY is not the identity it was encrypted to")
    return opened.stdout


def warned(torch_version):
    """Lines about packages that are other ones than the job was tried with."""
    tried = pins()
    here = {"torch": torch_version.split("+")[0], "transformers": version("transformers")}
    return [f"{name} {here[name]} runs, the job was tried with {tried[name]}" for name in here if here[name] != tried[name]]


def pins():
    lines = (HOME / "requirements.txt").read_text().split()
    return dict(line.split("==") for line in lines if "==" in line)


def tell_failure(error):
    """One line for whoever follows; the traceback is torch's to keep."""
    RESULT.mkdir(mode=0o700, exist_ok=True)
    text = str(error).split("\n")[0][:300]
    rank = int(os.environ.get("RANK", "0"))
    write_json(RESULT / f"failed-{rank}.json", {"rank": rank, "error": type(error).__name__, "text": text})
    if isinstance(error, Refused):
        # torchrun ends with many lines of its own: what it finds in this file is the last of them.
        if reported := os.environ.get("TORCHELASTIC_ERROR_FILE"):
            write_json(Path(reported), {"message": f"whorl: {text}", "timestamp": int(time.time())})
        sys.exit(f"whorl: {text}")
    raise error
