"""A hub on loopback, as far as huggingface_hub asks one: revision, tree, resolve with a redirect to a "CDN" path.
Used by make.py and check.py."""
import hashlib
import http.server
import json
import pathlib
import threading
import urllib.parse

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
REPO = "org/tiny"
here = pathlib.Path(__file__).parent


def files():
    """The sharded golden model with a tokenizer's file beside it, and two files that nobody needs."""
    model = here.parent / "models" / "llama-sharded"
    found = {p.name: p.read_bytes() for p in sorted(model.iterdir()) if not p.name.startswith("golden.")}
    return {**found, "tokenizer.json": b'{"version":"1.0"}', "README.md": b"# tiny\n", "pytorch_model.bin": b"never opened"}


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_large(name):
    return name.endswith((".safetensors", ".bin"))


def name_of_blob(name, data):
    return hashlib.sha256(data).hexdigest() if is_large(name) else git_hash(data)


def serve():
    """Starts the hub; returns its endpoint and the list of requests it has had."""
    content = files()
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, body=b"", **headers):
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
            asked.append((self.command, path))
            api = f"/api/models/{REPO}"
            if path == api or path.startswith(f"{api}/revision/"):
                siblings = [{"rfilename": name} for name in content]
                body = json.dumps({"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": siblings, "tags": []})
                return self.reply(200, body.encode(), Content_Type="application/json")
            if path.startswith(f"{api}/tree/"):
                body = []
                for name, data in content.items():
                    entry = {"type": "file", "path": name, "oid": git_hash(data), "size": len(data)}
                    if is_large(name):
                        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
                    body.append(entry)
                return self.reply(200, json.dumps(body).encode(), Content_Type="application/json")
            name = path.rsplit("/", 1)[-1]
            if path.startswith("/cdn/"):
                return self.reply(200, content[name], ETag='"of-the-cdn"')
            if "/resolve/" in path and name in content:
                data = content[name]
                if is_large(name):
                    return self.reply(302, b"", Location=f"http://localhost:{server.server_address[1]}/cdn/{name}", X_Repo_Commit=COMMIT,
                                      X_Linked_ETag=f'"{name_of_blob(name, data)}"', X_Linked_Size=str(len(data)))
                return self.reply(200, data, X_Repo_Commit=COMMIT, ETag=f'"{git_hash(data)}"')
            return self.reply(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}", asked


def layout(folder):
    """Every entry below `folder`: what a link says, the sha256 of a file."""
    out = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            out[name] = {"link": str(path.readlink())}
        elif path.is_file():
            out[name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return out
