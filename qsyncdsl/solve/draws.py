"""Random numbers for realizations side by side, one independent stream a lane.

xoshiro256+ (Blackman, Vigna, ACM Trans. Math. Softw. 47, 36 (2021)) and the Box-Muller transform
with polynomials in place of library calls, so that the compiler can use vector instructions.
Errors of the polynomials are below 1e-11.

The functions are read as text and put into a generated module, where `LANES` is a constant.
"""

# ruff: noqa: F821, PLR0915
# mypy: ignore-errors

import numpy as np


def uniforms(state, u):
    """Numbers in [1, 2), one a lane."""
    for lane in range(LANES):
        s0, s1 = state[0, lane], state[1, lane]
        s2, s3 = state[2, lane], state[3, lane]
        total = s0 + s3
        shifted = s1 << np.uint64(17)
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
        state[0, lane], state[1, lane] = s0, s1
        state[2, lane], state[3, lane] = s2, s3
        u[0, lane] = to_float((total >> np.uint64(12)) | np.uint64(0x3FF0000000000000))


def gaussian(state, z, rows):
    """Standard normal numbers in the first rows of z, an even number."""
    pair = lane_rows(2, LANES)
    for row in range(0, rows, 2):
        for lane in range(LANES):
            s0, s1 = state[0, lane], state[1, lane]
            s2, s3 = state[2, lane], state[3, lane]
            first = s0 + s3
            shifted = s1 << np.uint64(17)
            s2 ^= s0
            s3 ^= s1
            s1 ^= s2
            s0 ^= s3
            s2 ^= shifted
            s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
            second = s0 + s3
            shifted = s1 << np.uint64(17)
            s2 ^= s0
            s3 ^= s1
            s1 ^= s2
            s0 ^= s3
            s2 ^= shifted
            s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
            state[0, lane], state[1, lane] = s0, s1
            state[2, lane], state[3, lane] = s2, s3
            one = np.uint64(0x3FF0000000000000)
            # 1 - uniform, in (0, 1], as 2^power times a mantissa m in [1, 2)
            word = to_bits(2.0 - to_float((first >> np.uint64(12)) | one))
            power = np.float64(np.int64(word >> np.uint64(52)) - 1023)
            m = to_float((word & np.uint64(0x000FFFFFFFFFFFFF)) | one)
            # log m: log sqrt 2 + 2 atanh((m - sqrt 2)/(m + sqrt 2))
            s = (m - 1.4142135623730951) / (m + 1.4142135623730951)
            q = s * s
            series = 1 / 11 + q * (1 / 13)
            series = 1 / 9 + q * series
            series = 1 / 7 + q * series
            series = 1 / 5 + q * series
            series = 1 / 3 + q * series
            series = 1.0 + q * series
            log = (power + 0.5) * 0.6931471805599453 + 2.0 * s * series
            radius = np.sqrt(max(-2.0 * log, 0.0))
            # cos and sin of half the angle, which lies in [-pi/2, pi/2)
            x = np.pi * (to_float((second >> np.uint64(12)) | one) - 1.5)
            y = x * x
            cos = 1 / 479001600 - y * (1 / 87178291200)
            cos = 1 / 3628800 - y * cos
            cos = 1 / 40320 - y * cos
            cos = 1 / 720 - y * cos
            cos = 1 / 24 - y * cos
            cos = 1 / 2 - y * cos
            cos = 1.0 - y * cos
            sin = 1 / 6227020800 - y * (1 / 1307674368000)
            sin = 1 / 39916800 - y * sin
            sin = 1 / 362880 - y * sin
            sin = 1 / 5040 - y * sin
            sin = 1 / 120 - y * sin
            sin = 1 / 6 - y * sin
            sin = x * (1.0 - y * sin)
            pair[0, lane] = radius * (cos * cos - sin * sin)
            pair[1, lane] = radius * (2.0 * sin * cos)
        for lane in range(LANES):
            z[row, lane] = pair[0, lane]
        for lane in range(LANES):
            z[row + 1, lane] = pair[1, lane]


def three_point(state, z, rows):
    r"""Fill rows of z with $\pm\sqrt3$ (probability 1/6 each) or 0: Gaussian moments up to the fifth.

    Enough for weak order 2 (Kloeden, Platen, Numerical Solution of SDEs, Eq. (14.2.8)).
    """
    u = lane_rows(1, LANES)
    for row in range(rows):
        uniforms(state, u)
        for lane in range(LANES):
            x = u[0, lane] - 1.0
            up = 1.7320508075688772 if x >= 5 / 6 else 0.0
            z[row, lane] = -1.7320508075688772 if x < 1 / 6 else up


def two_point(state, z, rows):
    """Fill rows of z with +1 or -1, one random bit each: enough for weak order 1."""
    one, sign = np.uint64(0x3FF0000000000000), np.uint64(0x8000000000000000)
    u = lane_rows(1, LANES)
    for start in range(0, rows, 32):
        uniforms(state, u)
        for row in range(start, min(start + 32, rows)):
            # the 52 lower bits of a word are random; bit 51 - k goes to the sign
            shift = np.uint64(row - start + 12)
            for lane in range(LANES):
                z[row, lane] = to_float(((to_bits(u[0, lane]) << shift) & sign) | one)


def draw(state, parity, halves, z, more, rows):
    """Random numbers of one step; `fill` is one of the functions above.

    With `halves` = 2 they are the means of those of an even and an odd step, times sqrt 2.
    """
    if halves == 1:
        fill(state[parity], z, rows)
        return
    fill(state[0], z, rows)
    fill(state[1], more, rows)
    scale = np.sqrt(0.5)
    for row in range(rows):
        for lane in range(LANES):
            z[row, lane] = scale * (z[row, lane] + more[row, lane])
