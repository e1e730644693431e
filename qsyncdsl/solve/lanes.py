"""Random numbers for realizations side by side, one independent stream a lane.

xoshiro256+ (Blackman, Vigna, ACM Trans. Math. Softw. 47, 36 (2021)) and the Box-Muller transform
with polynomials in place of library calls, so that the compiler can use vector instructions.
Errors of the polynomials are below 1e-11.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_FAST = {"contract", "reassoc", "nsz", "arcp"}
_PI = math.pi
_LN2 = math.log(2.0)
_SQRT3 = math.sqrt(3.0)


def streams(seed: int, first: int, lanes: int) -> np.ndarray:
    """States of the generators of realizations `first .. first + lanes - 1`, shape (4, lanes).

    A realization has the same stream however the work is split.
    """
    found = np.empty((4, lanes), dtype=np.uint64)
    for lane in range(lanes):
        sequence = np.random.SeedSequence([seed, first + lane])
        found[:, lane] = sequence.generate_state(4, dtype=np.uint64)
    return found


@njit(fastmath=_FAST, error_model="numpy")  # type: ignore[untyped-decorator]
def _uniforms(state, bits):  # type: ignore[no-untyped-def]
    """Numbers in [1, 2) as the bits of doubles, one a lane."""
    for lane in range(state.shape[1]):
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
        bits[lane] = (total >> np.uint64(12)) | np.uint64(0x3FF0000000000000)


@njit(fastmath=_FAST, error_model="numpy")  # type: ignore[untyped-decorator]
def gaussian(state, z, bits):  # type: ignore[no-untyped-def]
    """Fill z, shape (2n, lanes), with standard normal numbers; `bits` is room of (2, lanes)."""
    lanes = state.shape[1]
    u, v, raw = bits[0].view(np.float64), bits[1].view(np.float64), bits[0]
    for row in range(0, z.shape[0], 2):
        _uniforms(state, bits[0])
        _uniforms(state, bits[1])
        for lane in range(lanes):
            u[lane] = 2.0 - u[lane]
        for lane in range(lanes):
            word = raw[lane]
            power = np.float64(np.int64(word >> np.uint64(52)) - 1023)
            mantissa = (word & np.uint64(0x000FFFFFFFFFFFFF)) | np.uint64(
                0x3FF0000000000000
            )
            z[row, lane] = power
            raw[lane] = mantissa
        for lane in range(lanes):
            # log of the mantissa m in [1, 2): log sqrt 2 + 2 atanh((m - sqrt 2)/(m + sqrt 2))
            m = u[lane]
            s = (m - 1.4142135623730951) / (m + 1.4142135623730951)
            q = s * s
            series = 1.0 + q * (
                1 / 3
                + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13)))))
            )
            log = (z[row, lane] + 0.5) * _LN2 + 2.0 * s * series
            radius = math.sqrt(max(-2.0 * log, 0.0))
            # cos and sin of half the angle, which lies in [-pi/2, pi/2)
            x = _PI * (v[lane] - 1.5)
            y = x * x
            cos = 1.0 - y * (
                1 / 2
                - y
                * (
                    1 / 24
                    - y
                    * (
                        1 / 720
                        - y
                        * (
                            1 / 40320
                            - y
                            * (
                                1 / 3628800
                                - y * (1 / 479001600 - y * (1 / 87178291200))
                            )
                        )
                    )
                )
            )
            sin = x * (
                1.0
                - y
                * (
                    1 / 6
                    - y
                    * (
                        1 / 120
                        - y
                        * (
                            1 / 5040
                            - y
                            * (
                                1 / 362880
                                - y
                                * (
                                    1 / 39916800
                                    - y * (1 / 6227020800 - y * (1 / 1307674368000))
                                )
                            )
                        )
                    )
                )
            )
            z[row, lane] = radius * (cos * cos - sin * sin)
            z[row + 1, lane] = radius * (2.0 * sin * cos)


@njit(fastmath=_FAST, error_model="numpy")  # type: ignore[untyped-decorator]
def three_point(state, z, bits):  # type: ignore[no-untyped-def]
    r"""Fill z with $\pm\sqrt3$ (probability 1/6 each) or 0: Gaussian moments up to the fifth.

    Enough for weak order 2 (Kloeden, Platen, Numerical Solution of SDEs, Eq. (14.2.8)).
    """
    u = bits[0].view(np.float64)
    for row in range(z.shape[0]):
        _uniforms(state, bits[0])
        for lane in range(state.shape[1]):
            x = u[lane] - 1.0
            up = _SQRT3 if x >= 5 / 6 else 0.0
            z[row, lane] = -_SQRT3 if x < 1 / 6 else up


@njit(fastmath=_FAST, error_model="numpy")  # type: ignore[untyped-decorator]
def two_point(state, z, bits):  # type: ignore[no-untyped-def]
    """Fill z with +1 or -1, one random bit each: enough for weak order 1."""
    words = bits[0]
    for start in range(0, z.shape[0], 32):
        _uniforms(state, words)
        for row in range(start, min(start + 32, z.shape[0])):
            shift = np.uint64(row - start + 20)
            for lane in range(state.shape[1]):
                bit = (words[lane] >> shift) & np.uint64(1)
                z[row, lane] = 2.0 * np.float64(bit) - 1.0
