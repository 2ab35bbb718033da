#!/usr/bin/env python3
"""Checks a certificate of Whorl by its specification (src/verify/certificate/README.md), with the standard library alone.

    python3 check.py certificate.json [roots.pem]

roots.pem: certificates of time-stamp authorities that you trust; without it a time stamp is worth no more than the owner's word.
Exit code: 0 verified, 3 not verified, 4 matches (owner's word), 5 undecided, 1 the certificate does not hold, 2 something in it was not
checked: time stamps or a beacon's round, where rfc3161.py or bls.py does not lie beside this file. No code of Whorl was used.
"""
import base64, calendar, hashlib, hmac, itertools, json, math, re, struct, sys, unicodedata
from fractions import Fraction

try:
    from bls import signed as round_signed
except ImportError:
    round_signed = None
try:
    import rfc3161
except ImportError:
    rfc3161 = None

HEX = re.compile(r"[0-9a-f]{64}\Z")
WORDS = {
    "first-candidate": "the first candidate that stands in the continuation as a whole word, case ignored",
    "first-candidate-repeated": "the first candidate that stands in the continuation as a whole word, said once or several times in a row (roserose), case ignored",
    "contains": "the candidate stands anywhere in the continuation",
}
SAYS_NOT = "bd4c4124415fe7c33541b8311aa3d025ac771410ba525921e84e49f610a2ee5b"  # SHA-256 of the canonical list
VANILLA = ["weights", "body", "embedding", "tokenizer", "config", "special_tokens"]
FIRST_KEY = 7 + len(VANILLA)
EXIT = {"verified": 0, "not-verified": 3, "matches": 4, "undecided": 5}
QUICKNET = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"  # drand, its chain hash
ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d+)?Z\Z", re.ASCII)
GENESIS, PERIOD = 1692803367, 3  # of quicknet's rounds, seconds
DAY = 86400  # by which clocks may differ


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def number(x):  # as ECMAScript prints a double
    need(abs(x) < 10**21 if isinstance(x, int) else math.isfinite(x), "a number is too large, or none")
    if abs(x) < 2**53 and x == int(x):
        return str(int(x))
    x = float(x)
    digits, power = re.sub(r"\.0(?=e)", "", f"{x!r}e0").split("e")[:2]
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    whole, _, rest = digits.partition(".")
    point = len(whole) + int(power)
    digits = (whole + rest).lstrip("0")
    point -= len(whole + rest) - len(digits)
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        return sign + (digits[:point] + "." + digits[point:] if point < len(digits) else digits + "0" * (point - len(digits)))
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = point - 1
    return sign + digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{'+' if power > 0 else '-'}{abs(power)}"


def canonical(x):  # RFC 8785
    if x is None or isinstance(x, bool):
        return json.dumps(x)
    if isinstance(x, (int, float)):
        return number(x)
    if isinstance(x, str):
        need(not re.search("[\ud800-\udfff]", x), "half a surrogate pair")
        return json.dumps(x, ensure_ascii=False)
    if isinstance(x, list):
        return "[" + ",".join(map(canonical, x)) + "]"
    need("__proto__" not in x, "a member that is called __proto__")
    keys = sorted(x, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(canonical(key) + ":" + canonical(x[key]) for key in keys) + "}"


def no_json(constant):
    raise Wrong(f"{constant} is no JSON")


def parse(text):
    x = json.loads(text, parse_constant=no_json)
    need(canonical(x) == text, "not in canonical form")
    return x


def sha(*parts):
    return hashlib.sha256(b"".join(p.encode() if isinstance(p, str) else p for p in parts)).digest()


def unbase64(text):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64")
    return raw


def has(x, names):
    need(isinstance(x, dict) and sorted(x) == sorted(names.split()), f"not the fields {names}")


def whole(x, least=0, most=2**31 - 1):
    need(type(x) is int and least <= x <= most, "a count")


def text(x, most=2**20):
    need(isinstance(x, str) and len(x) <= most, "a text")


def moment(x, what):  # seconds since 1970
    found = isinstance(x, str) and ISO.match(x)
    need(found, what)
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    need(1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1], what)
    days = 365 * year + (year + 3) // 4 - (year + 99) // 100 + (year + 399) // 400 - 719528
    days += sum(calendar.monthrange(year, m)[1] for m in range(1, month)) + day - 1
    return days * DAY + hour * 3600 + minute * 60 + second + Fraction(((found[7] or ".0")[1:] + "000")[:3]) / 1000


def digest(x):
    need(isinstance(x, str) and HEX.match(x), "a digest")


# --- signatures: Ed25519 (RFC 8032) and ECDSA on P-256 (FIPS 186-5), affine and slow
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def ed_add(a, b):
    (x, y), (u, v) = a, b
    t = D * x * u * y * v % P
    return (x * v + u * y) * pow(1 + t, -1, P) % P, (y * v + x * u) * pow(1 - t, -1, P) % P


def times(n, point, add, zero):
    for bit in bin(n)[2:]:
        zero = add(zero, zero)
        if bit == "1":
            zero = add(zero, point)
    return zero


def ed_point(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    need(y < P, "a point")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    need(x * x % P == square and (x or not sign), "a point")
    return (P - x if x % 2 != sign else x), y


def ed25519(key, message, sig):
    need(len(sig) == 64, "a signature of 64 bytes")
    s = int.from_bytes(sig[32:], "little")
    need(s < L, "a signature out of range")
    a, r = ed_point(key), ed_point(sig[:32])
    need(times(8, a, ed_add, (0, 1)) != (0, 1), "a key under which more is signed than somebody signed")
    k = int.from_bytes(hashlib.sha512(sig[:32] + key + message).digest(), "little") % L
    base = ed_point(((4 * pow(5, -1, P)) % P).to_bytes(32, "little"))
    return times(s, base, ed_add, (0, 1)) == ed_add(r, times(k, a, ed_add, (0, 1)))


Q = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def ec_add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % Q == 0:
        return None
    m = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, Q) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, Q)
    x = (m * m - a[0] - b[0]) % Q
    return x, (m * (a[0] - x) - a[1]) % Q


def p256(key, message, sig):
    need(key[0] == 4 and len(key) == 65, "an uncompressed point")
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    need(x < Q and y < Q and (y * y - x**3 + 3 * x - B) % Q == 0, "a point on P-256")
    need(len(sig) > 2 and sig[0] == 0x30 and sig[1] == len(sig) - 2 < 128, "DER")
    values, rest = [], sig[2:]
    while rest:
        need(len(rest) > 2 and rest[0] == 2 and 0 < rest[1] <= len(rest) - 2, "DER")
        raw, rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        need(raw[0] < 128 and (len(raw) == 1 or raw[0] or raw[1] > 127), "DER")
        values.append(int.from_bytes(raw, "big"))
    need(len(values) == 2 and 0 < values[0] < N and 0 < values[1] <= N // 2, "a signature out of range, or of the upper S")
    w = pow(values[1], -1, N)
    z = int.from_bytes(sha(message), "big")
    point = ec_add(times(z * w % N, G, ec_add, None), times(values[0] * w % N, (x, y), ec_add, None))
    return point is not None and point[0] % N == values[0]


KINDS = {
    bytes.fromhex("302a300506032b6570032100"): (32, ed25519),
    bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"): (65, p256),
}


def signed_by(spki, message, sig):
    for head, (size, check) in KINDS.items():
        if spki.startswith(head) and len(spki) == len(head) + size:
            return check(spki[len(head) :], message, sig)
    raise Wrong("a key of another kind")


# --- the claim's tree (RFC 6962), draw and matchers
def root_by(leaf, place, count, path):
    if count == 1:
        return leaf if not path else b""
    if not path:
        return b""
    split = 1 << (count - 1).bit_length() - 1
    if place < split:
        return sha(b"\1", root_by(leaf, place, split, path[:-1]), path[-1])
    return sha(b"\1", path[-1], root_by(leaf, place - split, count - split, path[:-1]))


def uniform(seed, root, dice, slot, below, label=b"whorl-draw-v2/keys"):
    limit, attempt = 2**48 - 2**48 % below, 0
    while True:
        message = label + root + dice + slot.to_bytes(4, "big") + attempt.to_bytes(4, "big")
        value = int.from_bytes(hmac.new(seed, message, "sha256").digest()[:6], "big")
        if value < limit:
            return value % below
        attempt += 1


def fold(x):
    return unicodedata.normalize("NFC", x).lower()


def in_word(char):
    return char == "_" or unicodedata.category(char)[0] in "LMN"


def match(name, answer, candidates):  # places of the candidates that the answer names
    if name == "contains":
        found = unicodedata.normalize("NFC", answer)
        return {i for i, c in enumerate(candidates) if unicodedata.normalize("NFC", c) in found}
    answer, places = fold(answer), {}
    for i, candidate in enumerate(candidates):
        places.setdefault(fold(candidate), i)
    longest = sorted(places, key=lambda word: -len(word.encode("utf-16-le")))
    for at in range(len(answer)):
        if at and in_word(answer[at - 1]):
            continue
        for word in longest:
            end = at + len(word)
            while answer.startswith(word, end - len(word)):
                if end == len(answer) or not in_word(answer[end]):
                    return {places[word]}
                if name == "first-candidate":
                    break
                end += len(word)
    return set()


def answers_tail(counts, m, hits):  # Poisson-binomial
    ways = [1]
    for c in counts:
        ways = [a * (m - c) + b * c for a, b in zip(ways + [0], [0] + ways)]
    return Fraction(sum(ways[hits:]), m ** len(counts)) if hits else Fraction(1)


def membership_tail(pool, n, marked, hits):  # hypergeometric
    ways = sum(math.comb(marked, i) * math.comb(pool - marked, n - i) for i in range(hits, min(marked, n) + 1))
    return Fraction(ways, math.comb(pool, n)) if hits else Fraction(1)


# --- T6: ranks by log-probability
def ranks_of(scores, coin):  # places from 1, the largest first; null is least, equal ones in an order of the coin's
    worth = [-math.inf if x is None else x for x in scores]
    order, start = sorted(range(len(worth)), key=lambda i: (-worth[i], i)), 0
    while start < len(order):
        end = start + 1
        while end < len(order) and worth[order[end]] == worth[order[start]]:
            end += 1
        for i in range(start, end - 1):
            j = i + coin(i, end - i)
            order[i], order[j] = order[j], order[i]
        start = end
    return {which: place + 1 for place, which in enumerate(order)}


def fisher_log10(n, x):  # log10 P(gamma of shape n >= x)
    if x <= 0:
        return 0.0
    last = (n - 1) * math.log(x) - x - math.lgamma(n)
    term = total = x / n if x < n else 1.0
    for k in itertools.count(n + 1) if x < n else range(n - 1, 0, -1):
        term *= x / k if x < n else k / x
        total += term
        if term < total * 1e-18:
            break
    ln = last + math.log(total)
    return (math.log1p(-math.exp(ln)) if x < n else min(0.0, ln)) / math.log(10)


def rank_sum_log10(pool, n, total):  # log10 P(ranks of n of the pool sum to at most this), None where it takes too long
    over, most, few = total - n * (n + 1) // 2, n * (pool - n), min(n, pool - n)
    if over >= most:
        return 0.0
    upper = 2 * over > most
    to = most - over - 1 if upper else over
    if few * (to + 1) > 2e7:
        return None
    ways = [1] + [0] * to
    for i in range(1, few + 1):
        for s in range(to, pool - few + i - 1, -1):
            ways[s] -= ways[s - pool + few - i]
        for s in range(i, to + 1):
            ways[s] += ways[s - i]
    p = Fraction(sum(ways), math.comb(pool, n))
    p = 1 - p if upper else p
    return math.log10(p.numerator) - math.log10(p.denominator)


def scores_of(ranks, before, options):
    scores = ranks["scores"]
    need([len(row) for row in scores] == [len(x) for x in options], "a score for each candidate")
    need(all(x is None or real(x) for row in scores for x in row), "scores")
    need(sha(before, canonical(scores)).hex() == ranks["chain"], "the chain, where it ranks")
    return scores


def check_log10(mine, theirs):  # of T6's p
    need((mine is None) == (theirs is None), "whether T6 was counted")
    need(mine is None or real(theirs) and abs(mine - theirs) <= 1e-9 * max(1, -mine), "T6")


# --- T5: the same answers under draws of secrets that nobody committed to
DECOYS = 9999


def below(bound, words):
    limit = 2**32 - 2**32 % bound
    for word in words:
        if word < limit:
            return word % bound


def decoys_of(key, n, m=None, pool=None):  # of answers the place of each, of membership the drawn keys
    words = itertools.chain.from_iterable(
        struct.unpack(">16384I", hashlib.shake_256(key + block.to_bytes(8, "little")).digest(65536)) for block in itertools.count()
    )
    for _ in range(DECOYS):
        if m:
            yield [below(m, words) for _ in range(n)]
            continue
        order = list(range(pool))
        for i in range(n):
            j = i + below(pool - i, words)
            order[i], order[j] = order[j], order[i]
        yield order[:n]


def check_decoys(stated, draws, drawn, statistics, log10_ps):  # statistics: name to one of a draw, more is rarer, or None
    has(stated, "of hits ranks")
    need(stated["of"] == DECOYS and len(drawn) * DECOYS <= 5e6, "the number of decoys")
    draws = list(draws)
    for name, statistic in statistics.items():
        if statistic is None:
            need(stated[name] is None, f"decoys by {name}")
            continue
        own = statistic(drawn)
        reached = sum(statistic(draw) >= own for draw in draws) if own else DECOYS
        whole(stated[name], 0, DECOYS)
        need(stated[name] == reached, f"T5 over {name}, which is {reached}")
        # A p-value that decoys reach so much more often (Chernoff) is none.
        share, ln = reached / DECOYS, (log10_ps[name] or 0) * math.log(10)
        if share > math.exp(ln):
            rest = 0 if share == 1 else (1 - share) * (math.log1p(-share) - math.log1p(-math.exp(ln)))
            need(-DECOYS * (share * (math.log(share) - ln) + rest) >= math.log(1e-12), "decoys that reach as much as p allows")


# --- a stamp: sums of matrices to an e-value, and what channels come to together
def log_tail(z):  # ln P(G >= z)
    if z < 0:
        return math.log1p(-math.exp(log_tail(-z)))
    if z < 1.5:
        return math.log(math.erfc(z / math.sqrt(2)) / 2)
    below = z
    for k in range(120, 0, -1):
        below = z + k / below
    return -z * z / 2 - math.log(2 * math.pi) / 2 - math.log(below)


def log_e(z):  # log10 of the mean over a half-normal lambda of spread 10
    s2 = 100 / 101
    return (math.log(2) + log_tail(-math.sqrt(s2) * z) + s2 * z * z / 2 - math.log1p(100) / 2) / math.log(10)


def calibrated(p):  # log10 of the e-value of a p-value (Vovk and Wang 2021)
    ln = math.log(p.numerator) - math.log(p.denominator) if p < Fraction(1, 2) else math.log1p(-float(1 - p))
    x = math.exp(ln)
    return math.log10(0.5) if 1 - x < 1e-4 else (math.log(1 - x + x * ln) - ln - 2 * math.log(-ln)) / math.log(10)


def over_e(log10):  # 1/e, e rounded down to hundredths of a decade
    if log10 >= 256 * math.log10(2):
        return Fraction(1, 2**256)
    part = max(0, math.floor(100 * log10))
    whole = -(-part // 100)
    wanted, a = 10 ** (900 + 100 * whole - part), round(10 ** (9 + whole - part / 100))
    while a**100 >= wanted:
        a -= 1
    while a**100 < wanted:
        a += 1
    return Fraction(a, 10 ** (9 + whole))


def stamp_of(plan, read):  # (log10 of the e-value, elements that were read)
    has(plan, "direction epsilon matrices")
    need(plan["direction"] == "shake256-normal-v1" and real(plan["epsilon"]) and 0 < plan["epsilon"] <= 1, "a stamp")
    need(len(read["matrices"]) == len(plan["matrices"]) > 0, "as many matrices as are committed")
    need(len({m["name"] for m in plan["matrices"]}) == len(plan["matrices"]), "matrices that differ")
    total, weights, elements, count = 0, 0, 0, 0
    for m, sums in zip(plan["matrices"], read["matrices"]):
        has(m, "name dtype shape sha256 scale")
        digest(m["sha256"])
        text(m["name"], 1024)
        need(m["dtype"] in ("float32", "float16", "bfloat16") and real(m["scale"]) and m["scale"] > 0, "a matrix")
        need(isinstance(m["shape"], list) and 0 < len(m["shape"]) <= 8, "a shape")
        for size in m["shape"]:
            whole(size)
        if sums is None:
            continue
        has(sums, "elements left_out dot squares")
        whole(sums["elements"], 0, 2**53 - 1), whole(sums["left_out"], 0, 2**53 - 1)
        need(real(sums["dot"]) and real(sums["squares"]) and 0 <= sums["squares"] < 2**53 > abs(sums["dot"]), "sums")
        need(sums["elements"] + sums["left_out"] == math.prod(m["shape"]), "the number of elements")
        need(abs(sums["dot"]) <= math.sqrt(sums["squares"]) * math.sqrt(sums["elements"]) * 8, "sums of weights")
        elements, count = elements + sums["elements"], count + 1
        if sums["squares"] > 0:
            z = sums["dot"] / math.sqrt(sums["squares"])
            weight = m["scale"] * sums["elements"] / math.sqrt(sums["squares"])
            total, weights = total + weight * z, weights + weight * weight
    z = total / math.sqrt(weights) if weights > 0 else 0
    return (log_e(z) - math.log10(2) if count else 0), elements


# --- a test that was stopped: bets on the draw, key by key, and the rules by which no further key was asked
GOALS = ("verified", "matches")
STOPS = GOALS + ("out-of-reach", "futile", "all-asked", "budget")


class AnswerBets:  # an answer is (candidates that it names, whether the drawn one is among them)
    prior = (2, 2)

    def __init__(self, m, lost):
        self.m, self.lost, self.innocent = m, lost, 1 / m

    def on(self, key, answer):  # (group, chance of winning as two counts, won), or None: no bet
        count, hit = answer
        return (0, count, self.m, hit) if 0 < count < self.m else None

    def ideal(self, key):
        return (0, False) if key in self.lost else (1, True)

    def fires(self, key, answer):
        return answer[1]


class MemberBets:  # an answer is whether the key fires
    prior, innocent = (1, 1), 0.01

    def __init__(self, drawn, lost):
        self.drawn, self.lost = drawn, lost
        self.left = list(itertools.accumulate(reversed(drawn)))[::-1]  # drawn keys from each one on

    def on(self, key, fired):
        still, of = self.left[key], len(self.drawn) - key
        return (0 if fired else 1, still, of, self.drawn[key]) if 0 < still < of else None

    def ideal(self, key):
        return self.drawn[key] and key not in self.lost

    def fires(self, key, fired):
        return fired if self.drawn[key] else None


def lay(bets, tally, key, answer):  # the factor of one bet, by a Beta mixture over how often such bets are won
    bet = bets.on(key, answer)
    if bet is None:
        return 1, 1
    group, chance, of, won = bet
    side = 0 if won else 1
    factor = (bets.prior[side] + 2 * tally[group][side]) * of, (sum(bets.prior) + 2 * sum(tally[group])) * (chance if won else of - chance)
    tally[group][side] += 1
    return factor


def replay_course(bets, of, seen, stopped, paid, level, tried):  # (p, the least p that could have come out)
    tally, value, best, persistent, matched = [[0, 0], [0, 0]], Fraction(1), Fraction(1), 0.0, False
    log2_level = {"matches": math.log2(paid) - math.log2(level), "verified": math.log2(paid) - math.log2(level) + tried}

    def out_of_reach(goal, asked):
        counts = [list(group) for group in tally]
        now, top = log2(value), log2(best)
        for key in range(asked, of):
            up, down = lay(bets, counts, key, bets.ideal(key))
            now += math.log2(up) - math.log2(down)
            top = max(top, now)
            if top >= log2_level[goal] - 1e-6:
                return False
        return True

    def why_here(asked):
        if matched and paid * 2**tried <= level * best:
            return "verified"
        if matched and stopped["until"] == "matches":
            return "matches"
        if asked == of:
            return "all-asked"
        goals = [goal for goal in GOALS[GOALS.index(stopped["until"]) :] if goal == "verified" or not matched]
        if asked % -(-of // 4096) == 0 and all(out_of_reach(goal, asked) for goal in goals):
            return "matches" if matched else "out-of-reach"
        return "futile" if not matched and persistent <= math.log(0.01) else None

    for asked in range(len(seen) + 1):
        matched = matched or paid <= level * best
        why = why_here(asked)
        if asked == len(seen):
            need((why or "budget") == stopped["why"], "why the test was stopped")
            break
        need(why is None, "answers after the test was stopped")
        answer = seen[asked]
        value *= Fraction(*lay(bets, tally, asked, answer))
        best = max(best, value)
        fired = bets.fires(asked, answer)
        if fired is not None and bets.innocent < 0.25:
            persistent += math.log(0.25 / bets.innocent) if fired else math.log1p(-0.25) - math.log1p(-bets.innocent)
    counts, perfect, top = [[0, 0], [0, 0]], Fraction(1), Fraction(1)
    for key in range(of):
        perfect *= Fraction(*lay(bets, counts, key, bets.ideal(key)))
        top = max(top, perfect)
    return 1 / best, 1 / top


def log2(x):
    return math.log2(x.numerator) - math.log2(x.denominator)


def real(x):
    return type(x) in (int, float) and math.isfinite(x)


def schema(s):
    has(s, "_type subject predicateType predicate")
    need(s["_type"] == "https://in-toto.io/Statement/v1", "_type")
    need(s["predicateType"] == "https://github.com/whorl-llm/whorl/certificate/v1", "predicateType")
    p = s["predicate"]
    stopped = " stopped" if "stopped" in p else ""
    ranks = " ranks" if "ranks" in p else ""
    decoys = " decoys" if "decoys" in p else ""
    need(not decoys or not stopped, "decoys over all keys that were asked")
    has(p, "signer claim openings asked transcript stamp suspect body changed beacon proofs result says_not created software" + stopped + ranks + decoys)
    if ranks:
        has(p["ranks"], "scores log10_p chain")
        digest(p["ranks"]["chain"])
        need(not stopped, "ranks of all keys that were asked")
    if stopped:
        has(p["stopped"], "until why")
        need(p["stopped"]["until"] in GOALS and p["stopped"]["why"] in STOPS, "how a test was stopped")
    server = "endpoint" in p["suspect"]
    subject = sha(canonical(p["suspect"])).hex() if server else p["suspect"]["weights"]
    need(s["subject"] == [{"name": "suspect", "digest": {"sha256": subject}}], "subject")
    if server:
        server_of(p)
    else:
        has(p["suspect"], "weights tokenizer config source chat_template")
        text(p["suspect"]["source"], 4096)
        need(p["suspect"]["chat_template"] is None or HEX.match(p["suspect"]["chat_template"]), "a digest")
    for side in ([] if server else [p["suspect"]]) + ([] if p["body"] is None else [p["body"]]):
        for name in ("weights", "tokenizer", "config"):
            digest(side[name])
    if p["body"] is not None:
        has(p["body"], "weights tokenizer config")
    if p["stamp"] is not None:
        has(p["stamp"], "against_vanilla matrices chain")
        need(isinstance(p["stamp"]["against_vanilla"], bool) and isinstance(p["stamp"]["matrices"], list), "a reading")
        digest(p["stamp"]["chain"])
    has(p["software"], "name version digest")
    digest(p["software"]["digest"])
    text(p["software"]["name"], 4096), text(p["software"]["version"], 4096)
    moment(p["created"], "created")
    has(p["asked"], "wrapper system prefix suffix from to look")
    text(p["asked"]["wrapper"], 4096), text(p["asked"]["prefix"]), text(p["asked"]["suffix"])
    need(p["asked"]["system"] is None or text(p["asked"]["system"]) is None, "system")
    for name in ("from", "to", "look"):
        whole(p["asked"][name])
    need(isinstance(p["transcript"], list) and isinstance(p["openings"], list), "a list")
    for e in p["transcript"]:
        has(e, "prompt prompt_tokens answer answer_tokens chain")
        text(e["prompt"]), text(e["answer"]), digest(e["chain"])
        if not server:
            kept = stopped and e["answer_tokens"] is None  # a text of an earlier call
            for id in e["prompt_tokens"] + ([] if kept else e["answer_tokens"]):
                whole(id)
    for o in p["openings"]:
        has(o, "place name value salt path")
        whole(o["place"]), text(o["name"], 4096), digest(o["salt"])
        for step in o["path"]:
            digest(step)
    need(isinstance(p["changed"], list) and isinstance(p["proofs"], list), "a list")
    has(p["result"], "word hits p multiplicity draws_log2")
    has(p["result"]["p"], "numerator denominator")
    need(hashlib.sha256(canonical(p["says_not"]).encode()).hexdigest() == SAYS_NOT, "what it does not say")
    return p


def server_of(p):  # a server shows neither weights nor tokens
    has(p["suspect"], "endpoint model_name kind reported_models tls_peers asked_from asked_to transcript_chain")
    s = p["suspect"]
    text(s["endpoint"], 4096), text(s["model_name"], 4096), digest(s["transcript_chain"])
    need(s["kind"] in ("chat", "completions"), "a kind of asking")
    for names in (s["reported_models"], s["tls_peers"]):
        need(isinstance(names, list) and len(names) <= 1024, "a list")
        for one in names:
            text(one, 4096)
        units = [one.encode("utf-16-be", "surrogatepass") for one in names]
        need(units == sorted(set(units)), "a list in order")
    for one in s["tls_peers"]:
        digest(one)
    begun, ended = [moment(s[name], name) for name in ("asked_from", "asked_to")]
    need(begun <= ended <= moment(p["created"], "created") + DAY, "times in order")
    need(p["body"] is None and p["stamp"] is None and p["changed"] == [], "nothing that only weights show")
    for e in p["transcript"]:
        need(e["prompt_tokens"] is None and e["answer_tokens"] is None, "no tokens of a server")


def header_of(p):
    text(p["claim"])
    claim = json.loads(p["claim"], parse_constant=no_json, parse_float=lambda x: int(float(x)) if float(x).is_integer() else float(x))
    direction = claim["kind"] == "drawn-direction"
    need(claim["channels"] in ([["stamp"]] if direction else [["keys"], ["keys", "stamp"]]), "channels")
    size = {"drawn-answers": "n m", "drawn-membership": "n pool negatives", "drawn-direction": ""}[claim["kind"]]
    has(claim, f"format version root leaves alpha most_looks channels draw private_part created software kind {size}")
    need((claim["format"], claim["version"]) == ("whorl-claim", 2), "a claim of format 2")
    digest(claim["root"])
    for name in size.split() + ["leaves", "most_looks"]:
        whole(claim[name])
    need(type(claim["alpha"]) in (int, float) and 0 < claim["alpha"] < 1, "alpha")
    need(moment(claim["created"], "the claim's time") <= moment(p["created"], "created") + DAY, "a claim that is older")
    return claim, {name: claim[name] for name in claim if name != "root"}


def check(raw, roots=()):
    envelope = parse(raw.decode()[:-1] if raw.endswith(b"\n") else "")
    has(envelope, "payloadType payload signatures")
    kind, payload = envelope["payloadType"], unbase64(envelope["payload"])
    need(kind == "application/vnd.in-toto+json" and len(envelope["signatures"]) == 1, "an in-toto envelope")
    p = schema(parse(payload.decode()))
    signature = envelope["signatures"][0]
    has(signature, "keyid sig")
    spki = unbase64(p["signer"])
    need(signature["keyid"] == sha(spki).hex(), "keyid")
    claim, header = header_of(p)
    dice = dice_of(p, claim["draw"])
    early, trusted = stamped_early(p, claim, roots)
    word = replay(p, claim, header, dice, early, trusted)
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    need(signed_by(spki, message, unbase64(signature["sig"])), "the signature")  # last: it is the slowest
    unchecked = ["time stamps (rfc3161.py is not beside this file)"] if p["proofs"] and not rfc3161 else []
    if p["beacon"] and round_signed:
        number, sig = p["beacon"]["round"], bytes.fromhex(p["beacon"]["signature"])
        need(round_signed(number, sig), "the signature of the beacon's round")
    elif p["beacon"]:
        unchecked.append("beacon's round (bls.py is not beside this file)")
    return word, unchecked


def dice_of(p, draw):  # what the draw takes beside the seed
    for proof in p["proofs"]:
        need(len(unbase64(proof)) <= 65536, "a time stamp")
    need(len(p["proofs"]) <= 16, "time stamps")
    if draw["source"] == "owner-seed":
        need(p["beacon"] is None, "a draw")
        return b""
    need(draw["source"] == "beacon", "a draw")
    has(p["beacon"], "chain round signature")
    need(p["beacon"]["chain"] == draw["chain"] == QUICKNET, "drand's chain quicknet")
    whole(p["beacon"]["round"])
    need(p["beacon"]["round"] == draw["round"] > 0, "the committed round")
    need(GENESIS + (draw["round"] - 1) * PERIOD <= moment(p["created"], "created") + DAY, "a round that was made before")
    need(isinstance(p["beacon"]["signature"], str) and re.fullmatch("[0-9a-f]{96}", p["beacon"]["signature"]), "a signature")
    return sha(bytes.fromhex(p["beacon"]["signature"]))  # the value of a round, as drand has it


def stamped_early(p, claim, roots):  # whether a time stamp is 60 s older than the round, and one that leads to a root
    if not rfc3161:
        return bool(p["beacon"] and p["proofs"]), False
    early = []
    for proof in p["proofs"]:
        at, latest, anchored = rfc3161.stamp(unbase64(proof), claim["root"], roots)
        need(latest + 1000 * DAY >= 1000 * moment(claim["created"], "a time"), "a time stamp that is not older than its claim")
        need(at <= 1000 * (moment(p["created"], "a time") + DAY), "a time stamp that was made before")
        if p["beacon"] and latest + 60000 <= 1000 * (GENESIS + (p["beacon"]["round"] - 1) * PERIOD):
            early.append(anchored)
    return bool(early), any(early)


def replay(p, claim, header, dice, early, trusted):
    root, t3 = bytes.fromhex(claim["root"]), claim["kind"] == "drawn-answers"
    asked, start, end = p["asked"], p["asked"]["from"], p["asked"]["to"]
    alone, stamped, read = claim["kind"] == "drawn-direction", "stamp" in claim["channels"], p["stamp"]
    of = 0 if alone else claim["n"] if t3 else claim["pool"]
    need(start == end == 0 if alone else start < end <= of <= 65536, "a range of keys")
    need(claim.get("n", 0) + claim.get("negatives", 0) <= of, "a size")
    need(read is None or stamped, "a claim with a stamp")
    need(read is not None or not alone, "a stamp that was read")
    seeds = of if t3 else 0 if alone else 1
    lists = claim["leaves"] - FIRST_KEY - of - seeds - (2 if stamped else 0)
    need(lists in (min(1, of), of), "the number of leaves")
    need(claim["private_part"] in ("none", "committed"), "a private part that knows the draw")
    private = claim["private_part"] == "committed"
    need(not private or end - start == of, "a private part needs the whole pool")
    leaves = {}
    for o in p["openings"]:
        leaf = sha(b"\0", bytes.fromhex(o["salt"]), canonical([o["name"], o["value"]]))
        path = [bytes.fromhex(step) for step in o["path"]]
        need(root_by(leaf, o["place"], claim["leaves"], path) == root, "a path to the root")
        leaves[o["place"]] = (o["name"], o["value"])
    need(list(leaves) == sorted(leaves) and len(leaves) == len(p["openings"]), "the order of openings")
    used = set()

    def value(place, name):
        used.add(place)
        need(leaves.get(place, ("",))[0] == name, f"leaf {place} is not {name}")
        return leaves[place][1]

    need(canonical(value(0, "header")) == canonical(header), "the header")
    plan, wrappers, systems = value(2, "plan"), value(3, "wrappers"), value(4, "systems")
    has(plan, "kind matcher matcher_text decoding query alpha most_looks")
    has(plan["query"], "order repeats wrapper")
    need(plan["query"]["order"] == "committed" and plan["query"]["repeats"] == 1, "the order of asking")
    has(plan["decoding"], "strategy max_new_tokens")
    need(plan["decoding"]["strategy"] == "greedy", "greedy decoding")
    for name in ("kind", "alpha", "most_looks"):
        need(canonical(plan[name]) == canonical(claim[name]), name)
    need(WORDS[plan["matcher"]] == plan["matcher_text"], "the matcher")
    part = value(6, "private-part")
    need(part["state"] == claim["private_part"], "the private part")
    keys = [value(FIRST_KEY + i, f"key/{i}") for i in range(start, end)]
    need(len({key["text"] for key in keys}) == len(keys), "keys that differ")
    if private:
        rows = value(5, "rows")
        need(rows == sorted({t for key in keys for t in key["tokens"]}), "the tokens of the whole pool")
    if p["body"] is not None:
        for i, name in enumerate(VANILLA):
            leaf = value(7 + i, f"vanilla/{name}")
            need(name not in p["body"] or leaf == p["body"][name], f"the body's {name}")
    named = "candidates" if t3 else "decryption"
    options = [value(FIRST_KEY + of + i, f"{named}/{i}") for i in (range(start, end) if lists > 1 else [0] if of else [])]
    options = [x if t3 else [x] for x in (options if lists > 1 else options * len(keys))]
    drawn, secrets = [], []
    if t3:
        need(all(len(x) == claim["m"] == len(set(map(fold, x))) for x in options), "candidates that differ")
        for i in range(start, end):
            seed = value(FIRST_KEY + of + lists + i, f"seed/keys/{i}")
            digest(seed)
            secrets.append(bytes.fromhex(seed))
            drawn.append(uniform(bytes.fromhex(seed), root, dice, i, claim["m"]))
    elif not alone:
        seed = value(FIRST_KEY + of + lists, "seed/keys/0")
        digest(seed)
        secrets.append(bytes.fromhex(seed))
        order = list(range(of))
        for i in range(claim["n"]):
            j = i + uniform(bytes.fromhex(seed), root, dice, i, of - i)
            order[i], order[j] = order[j], order[i]
        drawn = sorted(order[: claim["n"]])
    stamp = read and value(claim["leaves"] - 2, "stamp")
    if read:
        digest(value(claim["leaves"] - 1, "seed/stamp"))
    need(used == set(leaves), "leaves that nobody asked for")
    need(len(p["transcript"]) == len(keys), "an answer for each key")
    link, counts, named, hits, marked = sha(b"whorl-transcript-v1\0", root), [], [], 0, []
    for i, e in enumerate(p["transcript"]):
        need(e["prompt"] == asked["prefix"] + keys[i]["text"] + asked["suffix"], "the prompt")
        need(len(e["answer_tokens"] or []) <= plan["decoding"]["max_new_tokens"], "the length of an answer")
        link = sha(link, canonical({name: e[name] for name in e if name != "chain"}))
        need(link.hex() == e["chain"], "the chain")
        found = match(plan["matcher"], e["answer"], options[i])
        marked += [start + i] if found else []
        counts.append(len(found))
        named.append(found)
        hits += drawn[i] in found if t3 else bool(found) and start + i in drawn
    if read:
        seen = {name: read[name] for name in ("against_vanilla", "matrices")}
        link = sha(link, canonical(seen))
        need(link.hex() == read["chain"], "the chain, where the stamp was read")
    ours = drawn if t3 else [i - start for i in drawn if start <= i < end]
    ranked = log10_t6 = None
    if "ranks" in p:
        need(not alone, "keys that were ranked")
        scores = scores_of(p["ranks"], link, options)
        coin = lambda seed: lambda slot, most: uniform(seed, root, dice, slot, most, b"whorl-coin-v1/ranks")
        if t3:
            rows = [ranks_of(row, coin(seed)) for row, seed in zip(scores, secrets)]
            log10_t6 = fisher_log10(len(rows), sum(math.log(claim["m"] / row[j]) for row, j in zip(rows, ours)))
            ranked = lambda draw: -math.prod(row[j] for row, j in zip(rows, draw))
        else:
            places = ranks_of([row[0] for row in scores], coin(secrets[0]))
            log10_t6 = rank_sum_log10(len(keys), len(ours), sum(places[i] for i in ours))
            ranked = lambda draw: -sum(places[i] for i in draw)
        check_log10(log10_t6, p["ranks"]["log10_p"])
    lost, stopped = p["changed"], p.get("stopped")
    need(not stopped or not alone, "a test that was stopped needs keys")
    within = of - start if stopped else len(keys)
    need(lost == sorted(set(lost)) and all(type(i) is int and 0 <= i < within for i in lost), "changed keys")
    if alone:
        tail = best = Fraction(1)
    elif t3:
        tail, best = answers_tail(counts, claim["m"], hits), Fraction(1, claim["m"] ** (len(keys) - len(lost)))
    else:
        there = [i for i in drawn if start <= i < end]
        left = len([i for i in there if i - start not in lost])
        tail = membership_tail(len(keys), len(there), len(marked), hits)
        best = membership_tail(len(keys), len(there), left, left)
    log10_hits = math.log10(tail.numerator) - math.log10(tail.denominator)
    around = wrappers[asked["wrapper"]]
    if alone:
        put = [plan["query"]["wrapper"], None, "", ""]
        need([asked[name] for name in ("wrapper", "system", "prefix", "suffix")] == put, "no key that was put")
    need(alone or around is None or around == [asked["prefix"], asked["suffix"]], "the text of the wrapper")
    need(plan["query"]["wrapper"] in wrappers, "the committed wrapper")
    need(asked["system"] is None or asked["system"] in systems, "a permitted system prompt")
    if asked["system"] is not None and around is None and p["suspect"].get("kind") != "chat":  # there it is a turn of its own
        need(asked["system"] in asked["prefix"] + "\0" + asked["suffix"], "the system prompt in the prompts")
    need(1 <= asked["look"] <= claim["most_looks"], "a look that is paid for")
    ways = 1 if asked["wrapper"] == plan["query"]["wrapper"] and asked["system"] is None else len(wrappers) * (1 + len(systems))
    if stopped:
        ways *= 2 * (1 if start == 0 else of)
    else:
        ways *= 1 if len(keys) == of else of * (of + 1) // 2
    # Keys alone or both, conversations or completions, the suspect's body or the owner's: who could choose pays for both.
    paid = claim["most_looks"] * (2 if stamped and not alone else 1) * (2 if "endpoint" in p["suspect"] else 1) * (2 if private and not alone else 1)
    level = Fraction(repr(claim["alpha"]))
    # A round after a time stamp leaves the owner one draw a stamped commitment: 2^40 are paid, where both are there.
    tried = 40 if early and p["result"]["draws_log2"] == 40 else 80
    if stopped:
        if t3:
            bets = AnswerBets(claim["m"], set(lost))
            seen = [(count, drawn[i] in named[i]) for i, count in enumerate(counts)]
        else:
            bets = MemberBets([start + i in drawn for i in range(of - start)], set(lost))
            seen = [bool(count) for count in counts]
        tail, best = replay_course(bets, of - start, seen, stopped, paid * ways, level, tried)
    if read:
        e, elements = stamp_of(stamp, read)
        most = log_e(math.sqrt(elements)) - math.log10(2) if elements else 0
        tail, best = min(Fraction(1), tail * ways), min(Fraction(1), best * ways)
        joint = [over_e(x if alone else x + calibrated(p)) for x, p in ((e, tail), (most, best))]
        tail, best = joint if alone else map(min, joint, (tail, best))
    else:
        paid *= ways

    def word_at(tried):
        if tail * paid <= level:
            return "verified" if tail * paid * 2**tried <= level else "matches"
        return "undecided" if best * paid > level or stopped and stopped["why"] == "budget" else "not-verified"

    result = {
        "word": word_at(tried),
        "hits": hits,
        "p": {"numerator": str(tail.numerator), "denominator": str(tail.denominator)},
        "multiplicity": paid,
        "draws_log2": tried,
    }
    need(canonical(result) == canonical(p["result"]), "the result")
    if "decoys" in p:
        need(not alone, "decoys of keys")
        transcript = hashlib.sha256(canonical([e["answer"] for e in p["transcript"]]).encode()).hexdigest()
        key = hmac.new(b"".join(secrets), f"whorl-decoys-v2/{transcript}".encode(), "sha256").digest()
        draws = decoys_of(key, len(ours), **({"m": claim["m"]} if t3 else {"pool": len(keys)}))
        fired = {i - start for i in marked}
        hit = (lambda draw: sum(j in found for j, found in zip(draw, named))) if t3 else (lambda draw: len(fired.intersection(draw)))
        check_decoys(p["decoys"], draws, ours, {"hits": hit, "ranks": ranked}, {"hits": log10_hits, "ranks": log10_t6})
    # Whoever issued it may have trusted an authority that its reader does not.
    return word_at(40 if tried == 40 and (trusted or not rfc3161) else 80)


def verdict_of(raw, roots=()):  # (exit code, line)
    try:
        word, unchecked = check(raw, roots)
    except (Wrong, StopIteration, *([rfc3161.Wrong] if rfc3161 else []), ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError) as error:
        return 1, f"does not hold: {error}"
    if unchecked:
        return 2, f"no word here: {word}, if what was not checked holds: the signature of its {' and of its '.join(unchecked)}"
    return EXIT[word], word


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or len(sys.argv) == 3 and not rfc3161:
        sys.exit("usage: check.py certificate.json [roots.pem], the second with rfc3161.py beside this file")
    raw, *roots = [open(path, "rb").read() for path in sys.argv[1:]]
    code, line = verdict_of(raw, [one for pem in roots for one in rfc3161.certificates(pem)])
    print(line)
    sys.exit(code)
