#!/usr/bin/env python3
"""Checks a time stamp (RFC 3161) offline, by RFC 3161, 5652, 5035, 5280, 8017 and FIPS 186-5, with the standard library alone.

    python3 rfc3161.py response.tsr DIGEST [roots.pem]

DIGEST: hex of SHA-256, SHA-384 or SHA-512. Exit code: 0 it leads to one of the roots, 2 it holds and leads to none, 1 it does not hold.
Signatures: RSA (PKCS#1 v1.5) and ECDSA on P-256 and P-384. Revocation is not looked at. No code of Whorl was used.
"""
import base64, calendar, hashlib, re, sys

HASHES = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
# DigestInfo before the digest (RFC 8017, 9.2)
INFOS = {name: bytes.fromhex(f"30{17 + n:02x}300d0609608648016503040{2}0{i}050004{n:02x}") for name, n, i in (("sha256", 32, 1), ("sha384", 48, 2), ("sha512", 64, 3))}
RSA, EC = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
SIGNS = {f"1.2.840.113549.1.1.{i}": (RSA, name) for i, name in ((11, "sha256"), (12, "sha384"), (13, "sha512"))}
SIGNS |= {f"1.2.840.10045.4.3.{i}": (EC, name) for i, name in ((2, "sha256"), (3, "sha384"), (4, "sha512"))}
CURVES = {  # p, b, order, x and y of the base point; a is -3
    "1.2.840.10045.3.1.7": (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
    "1.3.132.0.34": (
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    ),
}
TIME_STAMPING, ANY_USE = "1.3.6.1.5.5.7.3.8", "2.5.29.37.0"
BASIC, KEY_USE, POLICIES, USES = "2.5.29.19", "2.5.29.15", "2.5.29.32", "2.5.29.37"


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


# --- DER (X.690): a value is (tag, body, all of its bytes)
def values(data):
    found, at = [], 0
    while at < len(data):
        need(at + 2 <= len(data) and data[at] & 31 != 31, "DER")
        size, start = data[at + 1], at + 2
        if size > 127:
            count = size & 127
            need(0 < count <= 4 and start + count <= len(data), "DER")
            size, start = int.from_bytes(data[start : start + count], "big"), start + count
            need(size > 127 and size >> 8 * (count - 1), "DER, lengths as short as they can be")
        need(start + size <= len(data), "DER")
        found.append((data[at], data[start : start + size], data[at : start + size]))
        at = start + size
    return found


def one(data, tag, what):
    found = values(data)
    need(len(found) == 1 and found[0][0] == tag, what)
    return found[0][1]


def part(found, i, tag, what):
    need(len(found) > i and found[i][0] == tag, what)
    return found[i][1]


def integer(body):
    need(body and (len(body) == 1 or not (body[0] == 0 and body[1] < 128 or body[0] == 255 and body[1] > 127)), "an integer")
    return int.from_bytes(body, "big", signed=True)


def oid(body):
    need(body and body[-1] < 128, "an object identifier")
    numbers, n = [], 0
    for byte in body:
        n = n << 7 | byte & 127
        if byte < 128:
            numbers, n = numbers + [n], 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first] + numbers[1:]))


def algorithm(body):
    return oid(part(values(body), 0, 6, "an algorithm"))


def moment(tag, body):  # milliseconds since 1970
    text = body.decode("ascii")
    found = re.fullmatch(r"(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d+))?Z", text, re.ASCII)
    need(found and (tag, len(found[1])) in ((0x17, 2), (0x18, 4)), "a time")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    year += 0 if tag == 0x18 else 2000 if year < 50 else 1900
    need(1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1] and hour < 24 and minute < 60 and second < 60, "a time")
    return 1000 * calendar.timegm((year, month, day, hour, minute, second)) + int(((found[7] or "") + "000")[:3])


# --- signatures
def signed(key, name, message, signature):
    kind, numbers = key
    hashed = hashlib.new(name, message).digest()
    if kind == RSA:
        n, e = numbers
        size = (n.bit_length() + 7) // 8
        if n.bit_length() < 2048 or e < 3 or e % 2 == 0 or len(signature) != size or int.from_bytes(signature, "big") >= n:
            return False
        padding = b"\xff" * (size - 3 - len(INFOS[name]) - len(hashed))
        return pow(int.from_bytes(signature, "big"), e, n).to_bytes(size, "big") == b"\0\1" + padding + b"\0" + INFOS[name] + hashed
    (p, _, order, x, y), point = numbers
    r, s = [integer(body) if tag == 2 else 0 for tag, body, _ in values(one(signature, 0x30, "a signature"))]
    if not (0 < r < order and 0 < s < order):
        return False
    z = int.from_bytes(hashed, "big") >> max(0, 8 * len(hashed) - order.bit_length())
    w = pow(s, -1, order)
    found = add(times(z * w % order, (x, y), p), times(r * w % order, point, p), p)
    return found is not None and found[0] % order == r


def add(a, b, p):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % p == 0:
        return None
    m = ((3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, p) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, p)) % p
    x = (m * m - a[0] - b[0]) % p
    return x, (m * (a[0] - x) - a[1]) % p


def times(n, point, p):
    total = None
    for bit in bin(n)[2:]:
        total = add(total, total, p)
        total = add(total, point, p) if bit == "1" else total
    return total


def key_of(spki):
    fields = values(spki)
    named, bits = values(part(fields, 0, 0x30, "a key")), part(fields, 1, 3, "a key")
    kind = oid(part(named, 0, 6, "a key"))
    need(bits[:1] == b"\0", "a key")
    if kind == RSA:
        n, e = values(one(bits[1:], 0x30, "a key of RSA"))
        return kind, (integer(n[1]), integer(e[1]))
    need(kind == EC and len(named) == 2, f"a key of another kind ({kind})")
    curve = CURVES.get(oid(part(named, 1, 6, "a curve")))
    need(curve, "a curve that is known")
    p, b, size = *curve[:2], (curve[0].bit_length() + 7) // 8
    need(len(bits) == 2 + 2 * size and bits[1] == 4, "an uncompressed point")
    x, y = int.from_bytes(bits[2 : 2 + size], "big"), int.from_bytes(bits[2 + size :], "big")
    need(x < p and y < p and (y * y - x**3 + 3 * x - b) % p == 0, "a point on the curve")
    return kind, (curve, (x, y))


# --- certificates (RFC 5280)
class Certificate:
    def __init__(self, raw):
        self.raw = raw
        fields = values(one(raw, 0x30, "a certificate"))
        self.tbs, self.signed_by, bits = fields[0][2], algorithm(part(fields, 1, 0x30, "an algorithm")), part(fields, 2, 3, "a signature")
        self.signature = bits[1:]
        inner = values(part(fields, 0, 0x30, "a certificate"))
        inner = inner[1:] if inner[0][0] == 0xA0 else inner
        self.serial = integer(part(inner, 0, 2, "a serial number"))
        need(inner[1][2] == fields[1][2], "one algorithm")
        self.issuer, self.subject, self.spki = inner[2][2], inner[4][2], part(inner, 5, 0x30, "a key")
        self.begins, self.ends = [moment(tag, body) for tag, body, _ in values(part(inner, 3, 0x30, "a validity"))]
        self.extensions, self.critical = {}, set()
        for listed in [body for tag, body, _ in inner[6:] if tag == 0xA3]:
            for _, extension, _ in values(one(listed, 0x30, "extensions")):
                name, *more = values(extension)
                name = oid(name[1])
                need(name not in self.extensions, "an extension that stands twice")
                self.extensions[name] = part(more, len(more) - 1, 4, "an extension")
                if len(more) == 2 and more[0][1] != b"\0":
                    self.critical.add(name)
        basic = values(one(self.extensions[BASIC], 0x30, "basic constraints")) if BASIC in self.extensions else []
        self.authority = bool(basic) and basic[0][0] == 1 and basic[0][1] != b"\0"
        self.below = integer(basic[-1][1]) if basic and basic[-1][0] == 2 else 99
        uses = values(one(self.extensions[USES], 0x30, "uses")) if USES in self.extensions else None
        self.uses = None if uses is None else [oid(body) for _, body, _ in uses]
        bits = one(self.extensions[KEY_USE], 3, "key usage")[1:2] if KEY_USE in self.extensions else b"\xff"
        self.may_sign, self.may_certify = bits[:1] > b"\0" and bits[0] & 0xC0 > 0, bits[:1] > b"\0" and bits[0] & 0x04 > 0
        self.strange = self.critical - {BASIC, KEY_USE, POLICIES, USES}

    def issued(self, other):
        if other.issuer != self.subject or other.signed_by not in SIGNS:
            return False
        kind, name = SIGNS[other.signed_by]
        key = key_of(self.spki)
        return key[0] == kind and signed(key, name, other.tbs, other.signature)

    def may_issue(self, at, below):
        right = self.uses is None or TIME_STAMPING in self.uses or ANY_USE in self.uses
        return self.authority and self.may_certify and not self.strange and self.below >= below and self.begins <= at <= self.ends and right


def certificates(data):  # PEM of any number, or one in DER
    pem = re.findall(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----", data)
    return [Certificate(raw) for raw in ([base64.b64decode(text) for text in pem] or [data])]


def leads_to(signer, given, sent, at):  # a way of issuers up to a root that was given; without roots each one that was
    roots = [one for one in given if one.issuer == one.subject] or given
    if signer.raw in [one.raw for one in roots]:
        return True
    level, seen = [signer], {signer.raw}
    for below in range(9):
        above = lambda one: one.may_issue(at, below) and any(other is not one and one.issued(other) for other in level)
        if any(above(one) for one in roots):
            return True
        level = [one for one in sent + given if one.raw not in seen and above(one)]
        seen |= {one.raw for one in level}
    return False


# --- the stamp
def stamp(response, imprint, given=()):
    """(milliseconds since 1970, the latest that its accuracy allows, whether it leads to one of the given certificates)."""
    need(len(response) <= 65536, "more than 64 KB")
    fields = values(one(response, 0x30, "a response"))
    status = integer(part(values(part(fields, 0, 0x30, "a status")), 0, 2, "a status"))
    need(status in (0, 1), f"the authority refused (status {status})")
    token = values(part(fields, 1, 0x30, "a token"))
    need(oid(part(token, 0, 6, "a token")) == "1.2.840.113549.1.7.2", "signed data")
    _, _, (tag, wrapped, _), *rest = values(one(part(token, 1, 0xA0, "signed data"), 0x30, "signed data"))
    content = values(wrapped)
    kind = part(content, 0, 6, "a content")
    need(tag == 0x30 and oid(kind) == "1.2.840.113549.1.9.16.1.4", "a signed time")
    info = one(part(content, 1, 0xA0, "a content"), 4, "a content")
    sent = [Certificate(raw) for tag, body, _ in rest if tag == 0xA0 for _, _, raw in values(body)]
    need(len(sent) <= 16, "certificates")
    signers = values(part(rest, len(rest) - 1, 0x31, "a signer"))
    need(len(signers) == 1, "one signer")
    time, latest = time_of(info, imprint)
    signer = signer_of(values(part(signers, 0, 0x30, "a signer")), kind, info, sent + list(given))
    need(USES in signer.critical and signer.uses == [TIME_STAMPING], "a certificate for time stamps alone")
    need(signer.may_sign and not signer.strange, "a certificate for signatures, without unknown critical extensions")
    need(signer.begins <= time <= signer.ends, "a certificate that was valid at the time stamped")
    return time, latest, leads_to(signer, list(given), sent, time)


def time_of(info, imprint):  # RFC 3161, 2.4.2
    fields = values(one(info, 0x30, "a time"))
    need(integer(part(fields, 0, 2, "a version")) == 1, "version 1")
    part(fields, 1, 6, "a policy"), part(fields, 3, 2, "a serial number")
    hashing, hashed = values(part(fields, 2, 0x30, "an imprint"))
    name = HASHES.get(algorithm(hashing[1]))
    need(name and hashed[0] == 4 and len(hashed[1]) == hashlib.new(name).digest_size and hashed[1].hex() == imprint, "the digest that it stamps")
    time = moment(0x18, part(fields, 4, 0x18, "a time"))
    accuracy = {tag: integer(body) for tag, body, _ in values(fields[5][1])} if len(fields) > 5 and fields[5][0] == 0x30 else {}
    return time, time + 1000 * accuracy.get(2, 0) + accuracy.get(0x80, 0) + -(-accuracy.get(0x81, 0) // 1000)


def signer_of(fields, kind, info, known):  # the certificate that the signed attributes name, whose signature it is
    (tag, by, _), hashing, attributes, (_, how, _), (_, signature, _) = fields[1:6]
    need(attributes[0] == 0xA0, "signed attributes")
    found = {}
    for _, attribute, _ in values(attributes[1]):
        name, (_, held, _) = values(attribute)
        need(oid(name[1]) not in found and len(values(held)) == 1, "one value of each attribute")
        found[oid(name[1])] = held
    name = HASHES.get(algorithm(hashing[1]))
    need(name and one(found.get("1.2.840.113549.1.9.3", b""), 6, "the type") == kind, "the type that is signed")
    need(one(found.get("1.2.840.113549.1.9.4", b""), 4, "the digest") == hashlib.new(name, info).digest(), "the content that is signed")
    first, second = (found.get(f"1.2.840.113549.1.9.16.2.{i}") for i in (12, 47))
    need(first or second, "which certificate signs")
    ids = values(values(values(one(second or first, 0x30, "a signing certificate"))[0][1])[0][1])
    digest = HASHES[algorithm(ids[0][1])] if second and ids[0][0] == 0x30 else "sha256" if second else "sha1"
    named = next(body for tag, body, _ in ids if tag == 4)
    signer = next((one for one in known if hashlib.new(digest, one.raw).digest() == named), None)
    need(signer, "the signer's certificate")
    if tag == 0x30:
        issuer, serial = values(by)
        need(issuer[2] == signer.issuer and integer(serial[1]) == signer.serial, "the signer that it names")
    key = key_of(signer.spki)
    by, digest = (RSA, name) if algorithm(how) == RSA else SIGNS.get(algorithm(how), (None, None))
    need(by == key[0] and signed(key, digest, b"\x31" + attributes[2][1:], signature), "the signature")
    return signer


FAULTS = (Wrong, ValueError, KeyError, TypeError, IndexError, StopIteration)

if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    response, *roots = [open(path, "rb").read() for path in [sys.argv[1], *sys.argv[3:]]]
    try:
        at, latest, anchored = stamp(response, sys.argv[2], [one for pem in roots for one in certificates(pem)])
    except FAULTS as error:
        sys.exit(f"does not hold: {error}")
    print(f"{at / 1000:.3f} s after 1970 began (UTC), {(latest - at) / 1000:.3f} s later at most; {'leads' if anchored else 'does not lead'} to a root")
    sys.exit(0 if anchored else 2)
