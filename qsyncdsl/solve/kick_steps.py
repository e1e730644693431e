r"""The flow of fields for a given time in steps of eighth order, compiled with a generated drift.

The source is read and put behind that of a model; `kick_drift` and `LANES` are names of the generated
module. Nothing here is called from Python.
"""

# ruff: noqa: F821
# mypy: ignore-errors

import numpy as np


def kicked(xr, xi, cr, ci, wr, wi, tables, turns, length):
    r"""A kick whose flow is exact, in place.

    A shift by a drift that the flow does not change, or a rotation of every field at a rate that the
    rotation does not change.
    """
    rows = xr.shape[0]
    dr, di = np.empty((rows, LANES)), np.empty((rows, LANES))
    kick_drift(cr, ci, wr, wi, tables, xr, xi, dr, di)
    for row in range(rows):
        for lane in range(LANES):
            u, v = xr[row, lane], xi[row, lane]
            if not turns:
                xr[row, lane] = u + length * dr[row, lane]
                xi[row, lane] = v + length * di[row, lane]
                continue
            size = u * u + v * v
            if size > 0.0:
                angle = length * (dr[row, lane] * v - di[row, lane] * u) / size
                c, s = np.cos(angle), np.sin(angle)
                xr[row, lane] = u * c + v * s
                xi[row, lane] = v * c - u * s


def flowed(xr, xi, cr, ci, wr, wi, tables, steps, length, a, b):
    """Fields after a time, in place, by a number of steps with the weights of DOP853."""
    rows = xr.shape[0]
    dr, di = np.empty((rows, LANES)), np.empty((rows, LANES))
    kr, ki = np.empty((12, rows, LANES)), np.empty((12, rows, LANES))
    h = length / steps
    for _ in range(steps):
        for stage in range(12):
            for row in range(rows):
                for lane in range(LANES):
                    u, v = 0.0, 0.0
                    for m in range(stage):
                        u += a[stage, m] * kr[m, row, lane]
                        v += a[stage, m] * ki[m, row, lane]
                    dr[row, lane] = xr[row, lane] + h * u
                    di[row, lane] = xi[row, lane] + h * v
            kick_drift(cr, ci, wr, wi, tables, dr, di, kr[stage], ki[stage])
        for row in range(rows):
            for lane in range(LANES):
                for m in range(12):
                    xr[row, lane] += h * b[m] * kr[m, row, lane]
                    xi[row, lane] += h * b[m] * ki[m, row, lane]
