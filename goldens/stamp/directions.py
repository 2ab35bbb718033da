"""What both scripts share: cells by mpmath, directions by hashlib, which elements count by numpy."""
import hashlib
import mpmath, numpy

mpmath.mp.dps = 40
HALF = 32768


def cells():
    """floor(4096 · 65536·(φ(a) - φ(b))) of each cell of the positive half; cell edges by the inverse error function."""
    edges = [mpmath.mpf(0)]
    for k in range(1, HALF):
        p = mpmath.mpf(k) / 65536  # Φ(a) - 1/2
        # erfinv by Newton from the last edge: mpmath's own takes minutes for so many
        a = edges[-1] + 1 / (65536 * mpmath.npdf(edges[-1]))
        for _ in range(8):
            step = (mpmath.erf(a / mpmath.sqrt(2)) / 2 - p) / mpmath.npdf(a)
            a -= step
            if abs(step) < mpmath.mpf(10) ** -32:
                break
        edges.append(a)
    heights = [mpmath.npdf(a) for a in edges] + [mpmath.mpf(0)]
    return [int(mpmath.floor(4096 * 65536 * (heights[k] - heights[k + 1]))) for k in range(HALF)]


POSITIVE = cells()
TABLE = numpy.array(POSITIVE + [-x for x in POSITIVE], dtype="<i2")


def direction(key, count):
    words = b"".join(
        hashlib.shake_256(key + b.to_bytes(8, "little")).digest(65536) for b in range((count + HALF - 1) // HALF)
    )
    return TABLE[numpy.frombuffer(words, dtype="<u2")[:count]].astype(numpy.float64) / 4096


def within(v, suspect):
    """Elements that are no more than 8 times the lower median of |v|, its upper 16 bits as a float32, over a suspect's non-zeros."""
    upper = numpy.abs(v[suspect != 0]).astype("<f4").view("<u4") >> 16
    upper = numpy.sort(upper[upper > 0])
    median = (upper[(len(upper) + 1) // 2 - 1 : (len(upper) + 1) // 2] << 16).astype("<u4").view("<f4")[0]
    return numpy.abs(v) <= 8 * float(median)
