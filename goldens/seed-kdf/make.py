"""scrypt of texts as seeds by OpenSSL through hashlib (RFC 7914), with Whorl's salt and parameters: python3 make.py
Standard library only. Writes seeds.json beside itself."""

import hashlib
import json
import pathlib
import platform
import ssl

PARAMETERS = [(2**17, 8, 1), (2**10, 8, 2)]
TEXTS = ["k7", "1", "", "a test of Whorl", "naïve 🦔", " 1"]


def stretched(text, n, r, p):
    made = hashlib.scrypt(
        text.encode(), salt=b"whorl-run-seed-v2", n=n, r=r, p=p, dklen=32, maxmem=2 * 128 * n * r
    )
    return {"text": text, "n": n, "r": r, "p": p, "seed": made.hex()}


out = {
    "made_by": f"hashlib.scrypt, Python {platform.python_version()}, {ssl.OPENSSL_VERSION}",
    "seeds": [stretched(text, *numbers) for numbers in PARAMETERS for text in TEXTS],
}
path = pathlib.Path(__file__).with_name("seeds.json")
path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
