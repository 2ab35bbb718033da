"""Time stamps by an authority of our own, made with OpenSSL: right ones over a claim's root, and each kind of wrong one.

Writes tokens.json beside itself: certificates (PEM) and RFC 3161 responses (base64) with what each should be said to be.
`openssl ts -reply` makes the one of today; the others have times of our choosing, so their TSTInfo (RFC 3161, 2.4.2) is encoded
here and signed by `openssl cms -sign -cades`. `openssl ts -verify` judges each of them (`openssl` in the output).
Run: python3 goldens/time-stamps/make.py
"""
import base64, hashlib, json, pathlib, platform, subprocess, tempfile

HERE = pathlib.Path(__file__).parent
# The root of the claim in test/proof/claims.ts: a plan with fixed salts, drawn from quicknet round 32285085.
ROOT = (HERE / "root.txt").read_text().strip()
ROUND_TIME = "20260917152339Z"  # of that round: 1692803367 + 3 * (32285085 - 1)


def run(*args, cwd, data=None, ok=True):
    done = subprocess.run(["openssl", *args], cwd=cwd, input=data, capture_output=True)
    if ok and done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    return done


def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = bytes([n]) if n < 128 else (lambda b: bytes([0x80 | len(b)]) + b)(n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body


def integer(x):
    return der(2, x.to_bytes(x.bit_length() // 8 + 1, "big"))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    out = bytes([40 * first + second])
    for x in rest:
        chunk = bytes([x & 127])
        while x := x >> 7:
            chunk = bytes([128 | x & 127]) + chunk
        out += chunk
    return der(6, out)


def info(digest, time, accuracy=None, nonce=None, version=1):
    """TSTInfo."""
    sha256 = der(0x30, oid("2.16.840.1.101.3.4.2.1"), der(5))
    return der(
        0x30,
        integer(version),
        oid("1.2.3.4.1"),
        der(0x30, sha256, der(4, bytes.fromhex(digest))),
        integer(7),
        der(0x18, time.encode()),
        *([der(0x30, integer(accuracy))] if accuracy else []),
        *([integer(nonce)] if nonce else []),
    )


def response(token, status=0):
    return der(0x30, der(0x30, integer(status)), token or b"")


CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
[ca_no_path]
basicConstraints = critical,CA:true,pathlen:0
keyUsage = critical,keyCertSign
[sub]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[sub_mail]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
extendedKeyUsage = emailProtection
[no_ca]
basicConstraints = critical,CA:false
[tsa]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[soft]
extendedKeyUsage = timeStamping
[two]
extendedKeyUsage = critical,timeStamping,emailProtection
[code]
extendedKeyUsage = critical,codeSigning
[none]
keyUsage = critical,digitalSignature
[encrypts]
keyUsage = critical,keyEncipherment
extendedKeyUsage = critical,timeStamping
[strange]
extendedKeyUsage = critical,timeStamping
1.2.3.4.5 = critical,ASN1:NULL
[policy]
[ts]
default_tsa = t
[t]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        (at / "c.cnf").write_text(CONFIG)
        (at / "serial").write_text("01")

        def key(name, kind):
            kinds = {"ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}
            run("genpkey", "-algorithm", *kinds[kind], "-out", f"{name}.key", cwd=at)

        def certificate(name, section, by=None, kind="ec", begin="20200101000000Z", end="20400101000000Z", digest="sha256", subject=None):
            key(name, kind)
            run("req", "-new", "-key", f"{name}.key", "-subj", f"/CN=whorl test {subject or name}", "-out", f"{name}.csr", "-config", "c.cnf", cwd=at)
            signer = by or name
            (at / "db").write_text("")
            (at / "ca.cnf").write_text(
                f"[ca]\ndefault_ca=d\n[d]\ndatabase={at}/db\nserial={at}/serial\nnew_certs_dir={at}\nunique_subject=no\n"
                "policy=p\n[p]\ncommonName=supplied\n" + CONFIG.replace("[ca]", "[ca_]").replace("[policy]", "")
            )
            args = ["ca", "-batch", "-config", "ca.cnf", "-in", f"{name}.csr", "-out", f"{name}.pem", "-notext", "-md", digest]
            args += ["-startdate", begin, "-enddate", end, "-extensions", "ca_" if section == "ca" else section, "-keyfile", f"{signer}.key"]
            args += ["-selfsign"] if by is None else ["-cert", f"{signer}.pem"]
            run(*args, cwd=at)

        certificate("root", "ca")
        certificate("other root", "ca")
        certificate("impostor", "ca", subject="root")
        certificate("below impostor", "tsa", "impostor")
        certificate("sub", "sub", "root")
        certificate("tsa", "tsa", "root")
        certificate("rsa", "tsa", "sub", kind="rsa")
        certificate("p384", "tsa", "sub", kind="p384", digest="sha384")
        certificate("old", "tsa", "root", end="20260901000000Z")
        certificate("young", "tsa", "root", begin="20261001000000Z")
        certificate("old sub", "sub", "root", end="20260901000000Z")
        certificate("below old sub", "tsa", "old sub")
        certificate("mail sub", "sub_mail", "root")
        certificate("below mail sub", "tsa", "mail sub")
        certificate("no authority", "no_ca", "root")
        certificate("below no authority", "tsa", "no authority")
        certificate("short root", "ca_no_path")
        certificate("below short root", "sub", "short root")
        certificate("too deep", "tsa", "below short root")
        certificate("weak", "tsa", "root", digest="sha1")
        for name in ["soft", "two", "code", "none", "encrypts", "strange"]:
            certificate(name, name, "root")

        pem = {path.stem: path.read_text() for path in at.glob("*.pem") if not path.stem.isdigit() and len(path.stem) > 2 and not all(c in "0123456789ABCDEF" for c in path.stem)}

        def token(by, tst, extra=(), digest="sha256", certs=True, kind="1.2.840.113549.1.9.16.1.4"):
            (at / "tst").write_bytes(tst)
            args = ["cms", "-sign", "-binary", "-nodetach", "-cades", "-in", "tst", "-outform", "DER", "-econtent_type", kind]
            args += ["-signer", f"{by}.pem", "-inkey", f"{by}.key", "-md", digest, *([] if certs else ["-nocerts"])]
            if extra:
                (at / "extra").write_text("".join(pem[name] for name in extra))
                args += ["-certfile", "extra"]
            return run(*args, cwd=at).stdout

        right = "20260917120000Z"
        good = info(ROOT, right, accuracy=1)
        signed = token("tsa", good)

        def edited(find, put):
            assert signed.count(find) == 1, find
            return response(signed.replace(find, put))

        (at / "query").write_bytes(run("ts", "-query", "-digest", ROOT, "-sha256", "-cert", cwd=at).stdout)
        now = run("ts", "-reply", "-config", "c.cnf", "-section", "t", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key", cwd=at).stdout
        last = bytearray(response(signed))
        last[-1] ^= 1
        # name: (response, what ours must say: "anchored" under the root, "not anchored", or words of the refusal)
        tokens = {
            "right": (response(signed), "anchored"),
            "granted with modifications": (response(signed, 1), "anchored"),
            "RSA, an authority between": (response(token("rsa", good, ["sub"], "sha512")), "anchored"),
            "P-384, an authority between": (response(token("p384", good, ["sub"], "sha384")), "anchored"),
            "a nonce": (response(token("tsa", info(ROOT, right, 1, 0x1234567890ABCDEF))), "anchored"),
            "fractions of a second": (response(token("tsa", info(ROOT, "20260917120000.25Z"))), "anchored"),
            "of today, by openssl ts": (now, "anchored"),
            "a minute before the round": (response(token("tsa", info(ROOT, "20260917152238Z"))), "anchored"),
            "half a minute before the round": (response(token("tsa", info(ROOT, "20260917152309Z"))), "anchored"),
            "accurate to two hours": (response(token("tsa", info(ROOT, "20260917142338Z", 7200))), "anchored"),
            "after the round": (response(token("tsa", info(ROOT, "20260917152340Z"))), "anchored"),
            "older than the claim": (response(token("tsa", info(ROOT, "20210101000000Z"))), "anchored"),
            "under another root": (response(token("rsa", good, digest="sha256")), "not anchored"),
            "below another authority of the root's name": (response(token("below impostor", good, ["impostor"])), "not anchored"),
            "below an authority that had expired": (response(token("below old sub", good, ["old sub"])), "not anchored"),
            "below an authority for mail": (response(token("below mail sub", good, ["mail sub"])), "not anchored"),
            "below what is no authority": (response(token("below no authority", good, ["no authority"])), "not anchored"),
            "deeper than its root allows": (response(token("too deep", good, ["below short root", "short root"])), "not anchored"),
            "certified with SHA-1": (response(token("weak", good)), "not anchored"),
            "another digest": (response(token("tsa", info(hashlib.sha256(b"other").hexdigest(), right))), "it stamps"),
            "certificate expired": (response(token("old", good)), "was valid from"),
            "certificate not yet valid": (response(token("young", good)), "was valid from"),
            "extended key usage not critical": (response(token("soft", good)), "not for time stamps alone"),
            "two uses": (response(token("two", good)), "not for time stamps alone"),
            "another use": (response(token("code", good)), "not for time stamps alone"),
            "no use": (response(token("none", good)), "not for time stamps alone"),
            "a key for encryption": (response(token("encrypts", good)), "not for signatures"),
            "an unknown critical extension": (response(token("strange", good)), "unknown critical extension"),
            "without certificates": (response(token("tsa", good, certs=False)), "neither in it nor"),
            "refused": (response(None, 2), "the authority refused"),
            "no token": (response(None, 0), "it has no token"),
            "plain data": (response(token("tsa", good, kind="1.2.840.113549.1.7.1")), "something else than a time"),
            "version 2": (response(token("tsa", info(ROOT, right, version=2))), "version 2"),
            "time edited": (edited(b"20260917120000Z", b"20250917120000Z"), "what it signs is not its content"),
            "last byte edited": (bytes(last), "its signature is wrong"),
            "the token alone": (signed, "no RFC 3161 response"),
            "cut": (response(signed)[:-9], "no RFC 3161 response"),
            "bytes behind it": (response(signed) + b"\0", "bytes follow"),
            "nothing": (b"", "no RFC 3161 response"),
            "a web page": (b"<!doctype html><title>503</title>", "no RFC 3161 response"),
            "nested without end": (b"\x30\x80" * 9000, "no RFC 3161 response"),
        }
        (at / "root-ca").write_text(pem["root"])
        out = {}
        for name, (blob, says) in tokens.items():
            (at / "r").write_bytes(blob)
            judged = run("ts", "-verify", "-digest", ROOT, "-in", "r", "-CAfile", "root-ca", "-attime", "1789646400", cwd=at, ok=False)
            out[name] = {"response": base64.b64encode(blob).decode(), "says": says, "openssl": judged.returncode == 0}
        result = {
            "made_by": {"openssl": run("version", cwd=at).stdout.decode().strip(), "python": platform.python_version()},
            "root": ROOT,
            "certificates": {name: pem[name] for name in ["root", "other root", "short root", "tsa"]},
            "key": (at / "tsa.key").read_text(),
            "query": base64.b64encode(run("ts", "-query", "-digest", ROOT, "-sha256", "-cert", "-no_nonce", cwd=at).stdout).decode(),
            "tokens": out,
        }
        (HERE / "tokens.json").write_text(json.dumps(result, indent=1) + "\n")


main()
