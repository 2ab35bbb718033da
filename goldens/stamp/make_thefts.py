"""What a thief did to a matrix, undone by numpy after the words of src/stamp/README.md ("Undone first"); units in another order are put back
by the order that is known here, so the reader has to find that very order.

    python goldens/stamp/make_thefts.py    # needs mpmath, numpy; writes thefts.json beside this file
"""
import hashlib, json, pathlib, platform
import numpy
from directions import direction, within

ROWS, COLUMNS, SCALE = 96, 160, 2.0**-15
KEY = hashlib.sha256(b"thefts").digest()


def bytes_of(label, count):
    return numpy.frombuffer(hashlib.shake_256(label).digest(2 * count), dtype="<i2").astype(numpy.float64)


W = (bytes_of(b"matrix", ROWS * COLUMNS) / 2**20).reshape(ROWS, COLUMNS)
XI = direction(KEY, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
STAMPED = (W + SCALE * XI).astype("<f4").astype(numpy.float64)
NOISE = (bytes_of(b"noise", ROWS * COLUMNS) / 2**33).reshape(ROWS, COLUMNS)


def lines(s, w, against):
    """Factor of each row, and the share of rows for which it undoes something."""
    counts = s != 0
    ss, sw, ww = (s * s).sum(1), (s * w).sum(1), (w * w * counts).sum(1)
    if against:
        fit = sw / ss
        left = ww - sw**2 / ss
        return fit, numpy.mean(left < 0.5 * numpy.minimum(ss - 2 * sw + ww, ww))
    size = numpy.sqrt(ss / counts.sum(1))
    factor = numpy.sort(size)[len(size) // 2] / size
    return factor, numpy.mean((factor > 4) | (factor < 0.25))


def undone(s, against):
    s, passes = s.copy(), 0
    while passes < 8:
        rows, columns = lines(s, W, against), lines(s.T, W.T, against)
        factor, share = max(rows, columns, key=lambda found: found[1])
        if share < 1 / 8:
            break
        s *= factor[:, None] if factor is rows[0] else factor[None, :]
        passes += 1
    return s, passes


def read(suspect, against, order=None, axis=0):
    s = suspect if order is None else numpy.take(suspect, numpy.argsort(order), axis)
    s, passes = undone(s, against)
    v = s - W if against else s
    counted = within(v.ravel(), s.ravel()) & (s.ravel() != 0)
    v, x = v.ravel()[counted], XI.ravel()[counted]
    return {
        "elements": int(counted.sum()), "rescaled": passes > 0, "reordered": order is not None,
        "dot": float(v @ x), "squares": float(v @ v), "z": float(v @ x / numpy.sqrt(v @ v)),
    }


ROW, COLUMN = numpy.arange(ROWS)[:, None], numpy.arange(COLUMNS)[None, :]
BY = {
    "rows": 2.0 ** ((ROW * 7) % 13 - 6) + 0 * COLUMN,
    "columns, some turned round": numpy.where(COLUMN % 3, 1, -1) * 2.0 ** ((COLUMN * 5) % 9) + 0 * ROW,
    "both": 2.0 ** ((ROW * 7) % 3) * 2.0 ** ((COLUMN * 5) % 9),
}
ROW_ORDER, COLUMN_ORDER = (numpy.arange(ROWS) * 37 + 11) % ROWS, (numpy.arange(COLUMNS) * 63 + 5) % COLUMNS
PRUNED = numpy.where((ROW * 5 + COLUMN * 3) % 7 < 3, 0, STAMPED)
COARSE = numpy.round(STAMPED * 2**9) / 2**9 + numpy.where(numpy.round(STAMPED * 2**9) == 0, 2.0**-11, 0)

cases = {}


def case(name, suspect, order=None, axis=0, against=True):
    """The suspect's line i is what was line order[i]."""
    thief = suspect if order is None else numpy.take(suspect, order, axis)
    stored = thief.astype("<f4")
    cases[name] = {
        "sha256": hashlib.sha256(stored.tobytes()).hexdigest(), "order": None if order is None else [axis, order.tolist()],
        "against": against, **read(stored.astype(numpy.float64), against, order, axis),
    }


for name, by in BY.items():
    case(name, STAMPED * by)
case("rows, alone", STAMPED * BY["rows"], against=False)
case("rows in another order", STAMPED, ROW_ORDER)
case("columns in another order", STAMPED, COLUMN_ORDER, 1)
case("rows rescaled, and in another order", STAMPED * BY["rows"], ROW_ORDER)
case("columns rescaled, rows in another order", STAMPED * BY["columns, some turned round"], ROW_ORDER)
case("columns in another order, both rescaled", STAMPED * BY["both"], COLUMN_ORDER, 1)
case("three in seven pruned, rows in another order", PRUNED, ROW_ORDER)
case("coarse, columns in another order", COARSE, COLUMN_ORDER, 1)
case("an innocent one in another order", (W + NOISE), ROW_ORDER)

golden = {
    "made_with": {"python": platform.python_version(), "numpy": numpy.__version__},
    "shape": [ROWS, COLUMNS], "key": KEY.hex(), "scale": SCALE, "cases": cases,
}
path = pathlib.Path(__file__).with_name("thefts.json")
path.write_text(json.dumps(golden, ensure_ascii=False) + "\n")
for name, found in cases.items():
    print(name, round(found["z"], 2), found["elements"], found["rescaled"])
