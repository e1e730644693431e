"""In place of a function of `wander` where the generator is diagonal: its exponential is exact."""

# mypy: ignore-errors

import numpy as np


def exponential(
    tau, first_known, g, d, rows, columns, room, layout, radius, values, scratch
):
    """State = exp(tau G) state; returns its norm squared."""
    margin, row = layout[2], layout[3]
    entries = len(columns)
    groups = len(d) // (2 * entries)
    total = 0.0
    for m in range(layout[0]):
        vr = values[0] * tau
        vi = values[1] * tau
        for n in range(rows[m], rows[m + 1]):
            vr += 0.5 * radius * tau * d[n]
            vi += 0.5 * radius * tau * d[entries + n]
            for k in range(1, groups):
                wr, wi = d[2 * k * entries + n], d[(2 * k + 1) * entries + n]
                vr += 0.5 * radius * tau * (g[2 * k] * wr - g[2 * k + 1] * wi)
                vi += 0.5 * radius * tau * (g[2 * k] * wi + g[2 * k + 1] * wr)
        size = np.exp(vr)
        fr, fi = size * np.cos(vi), size * np.sin(vi)
        x = margin + m
        ar, ai = room[x], room[row + x]
        br = fr * ar - fi * ai
        bi = fr * ai + fi * ar
        room[x] = br
        room[row + x] = bi
        total += br * br + bi * bi
    return total
