"""Signs a small folder with PyPI's model-signing: golden.json has the files, the public key, and the signature.

    pip install model-signing pyopenssl; python make.py

With arguments `--verify FOLDER SIGNATURE PUBLIC_KEY` it checks a signature of Whorl's instead: exit code 0, or a traceback.
"""
import importlib.metadata, json, pathlib, sys, tempfile
import model_signing
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = pathlib.Path(__file__).parent
FILES = {
    "config.json": "{}\n",
    "model.safetensors": "weights, say",
    "original/params.json": "{}",
    "original-b": "a name that orders otherwise as a whole than by parts",
    "über/ä.txt": "ü",
    ".gitattributes": "not signed",
    "empty": "",
}

if len(sys.argv) > 1:
    folder, signature, key = sys.argv[2:]
    model_signing.verifying.Config().use_elliptic_key_verifier(public_key=pathlib.Path(key)).verify(
        pathlib.Path(folder), pathlib.Path(signature)
    )
    sys.exit(0)

signed = {}
for name, curve in (("P-256", ec.SECP256R1()), ("P-384", ec.SECP384R1())):
    key = ec.generate_private_key(curve)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "model"
        for path, text in FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        pem = pathlib.Path(scratch) / "key.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        out = pathlib.Path(scratch) / "model.sig"
        model_signing.signing.Config().use_elliptic_key_signer(private_key=pem).sign(folder, out)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        signed[name] = {"public_key": public.decode(), "signature": out.read_text(encoding="utf-8")}

versions = {name: importlib.metadata.version(name) for name in ("model-signing", "cryptography", "sigstore-models")}
golden = {"made_with": versions | {"python": sys.version.split()[0]}, "files": FILES, "signed": signed}
(HERE / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
