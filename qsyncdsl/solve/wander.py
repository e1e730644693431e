r"""Evolution of one state vector with quantum jumps, compiled together with `term` of a model.

Between jumps $\psi(t + \tau) = e^{\tau G}\psi(t)$ is the Chebyshev series (H. Tal-Ezer, R. Kosloff,
J. Chem. Phys. 81, 3967 (1984)); with $\chi_0 = \psi$ and $\chi_1 = \frac{1}{R}(G - c)\psi$

$$ e^{\tau G}\psi = e^{c\tau}\Big[J_0(R\tau)\chi_0 + 2\sum_{k \ge 1}J_k(R\tau)\chi_k\Big], \qquad
   \chi_{k+1} = \tfrac{2}{R}(G - c)\chi_k + \chi_{k-1} . $$

The series converges faster than any power once $k > R\tau$, so that its error is known beforehand.
A generator that moves in time is taken as the product of two exponentials of weighted means
(fourth order; S. Blanes, P. C. Moan, Applied Numerical Mathematics 56, 1519 (2006)).

The text of these functions is put behind `term(...)`, whose matrix is $\frac{2}{R}(G - c)$. A
state is two rows of `room`, real and imaginary part: 0, 1 the state, 2, 3 and 4, 5 the
recurrence and its sum, 6, 7 the state before the step. Nothing here is called from Python but
`advance` and `propagate`.
"""

# ruff: noqa: PLR0915
# mypy: ignore-errors

import numpy as np


def term(source, target, weight, keep, share, g, d, rows, columns, room, layout):
    """The generator as rows of a sparse matrix, where it has too many diagonals."""
    margin, row = layout[2], layout[3]
    entries = len(columns)
    groups = len(d) // (2 * entries)
    for m in range(layout[0]):
        ar = 0.0
        ai = 0.0
        for n in range(rows[m], rows[m + 1]):
            vr = d[n]
            vi = d[entries + n]
            for k in range(1, groups):
                wr, wi = d[2 * k * entries + n], d[(2 * k + 1) * entries + n]
                vr += g[2 * k] * wr - g[2 * k + 1] * wi
                vi += g[2 * k] * wi + g[2 * k + 1] * wr
            x = source * row + margin + columns[n]
            ar += vr * room[x] - vi * room[x + row]
            ai += vr * room[x + row] + vi * room[x]
        to = target * row + margin + m
        ar = weight * ar + keep * room[to]
        ai = weight * ai + keep * room[to + row]
        room[to] = ar
        room[to + row] = ai
        room[4 * row + margin + m] += share * ar
        room[5 * row + margin + m] += share * ai


def uniform(rng):
    """A number in (0, 1]: xoshiro256+ (Blackman, Vigna 2021)."""
    s0, s1, s2, s3 = rng[0], rng[1], rng[2], rng[3]
    total = s0 + s3
    shifted = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    rng[0], rng[1], rng[2], rng[3] = s0, s1, s2, s3
    return 1.0 - np.float64(total >> np.uint64(11)) / 9007199254740992.0


def bessel(x, growth, tolerance, values):
    """J_0(x) .. J_n(x) by Miller's recurrence; returns n, after which the series is cut."""
    size = abs(x)
    if size < 1e-8:
        values[0] = 1.0
        values[1] = x / 2
        return 1
    start = int(size) + 30 + int(6 * size ** (1.0 / 3.0))
    start = min(start, len(values) - 2)
    start += start & 1
    above, here = 0.0, 1e-250
    total = 0.0
    for k in range(start, 0, -1):
        below = 2 * k / size * here - above
        above, here = here, below
        values[k - 1] = here
        if k - 1 == 0:
            total += here
        elif (k - 1) % 2 == 0:
            total += 2 * here
        if abs(here) > 1e200:
            for n in range(k - 1, start):
                values[n] *= 1e-200
            above *= 1e-200
            here *= 1e-200
            total *= 1e-200
    last = 1
    power = growth
    for k in range(start):
        values[k] /= total
        if k >= 1:
            if 2 * abs(values[k]) * power > tolerance or k < size:
                last = k
            power *= growth
        if x < 0 and k % 2:
            values[k] = -values[k]
    return last


def interpolate(table, start, spacing, time, weight, g):
    """Add to g the coefficients at a time, times a weight: cubic between the rows of the table."""
    rows, count = table.shape
    if rows == 1:
        for k in range(count):
            g[k] += weight * table[0, k]
        return
    place = (time - start) / spacing
    first = min(max(int(np.floor(place)) - 1, 0), rows - 4)
    u = place - first
    w0 = -(u - 1) * (u - 2) * (u - 3) / 6
    w1 = u * (u - 2) * (u - 3) / 2
    w2 = -u * (u - 1) * (u - 3) / 2
    w3 = u * (u - 1) * (u - 2) / 6
    for k in range(count):
        g[k] += weight * (
            w0 * table[first, k]
            + w1 * table[first + 1, k]
            + w2 * table[first + 2, k]
            + w3 * table[first + 3, k]
        )


def exponential(
    tau, first_known, g, d, rows, columns, room, layout, radius, values, scratch
):
    """State = exp(tau G) state; returns its norm squared."""
    margin, row, count = layout[2], layout[3], layout[0]
    growth, tolerance = values[2], values[3]
    last = bessel(radius * tau, growth, tolerance, scratch)
    if not first_known:
        term(0, 2, 0.5, 0.0, 0.0, g, d, rows, columns, room, layout)
    c0, c1 = scratch[0], 2 * scratch[1]
    for part in range(2):
        x = part * row + margin
        for m in range(count):
            room[x + 4 * row + m] = c0 * room[x + m] + c1 * room[x + 2 * row + m]
    source, target = 2, 0
    for k in range(2, last + 1):
        term(
            source, target, 1.0, 1.0, 2 * scratch[k], g, d, rows, columns, room, layout
        )
        source, target = target, source
    size = np.exp(values[0] * tau)
    fr, fi = size * np.cos(values[1] * tau), size * np.sin(values[1] * tau)
    total = 0.0
    for m in range(margin, margin + count):
        ar, ai = room[4 * row + m], room[5 * row + m]
        br = fr * ar - fi * ai
        bi = fr * ai + fi * ar
        room[m] = br
        room[row + m] = bi
        total += br * br + bi * bi
    return total


def means(time, tau, table, start, spacing, ga, gb):
    """The weighted means of the coefficients over a step, for its first and second half."""
    root = np.sqrt(3.0) / 6
    ga[:] = 0.0
    gb[:] = 0.0
    early, late = time + (0.5 - root) * tau, time + (0.5 + root) * tau
    interpolate(table, start, spacing, early, 0.5 + 2 * root, ga)
    interpolate(table, start, spacing, late, 0.5 - 2 * root, ga)
    interpolate(table, start, spacing, early, 0.5 - 2 * root, gb)
    interpolate(table, start, spacing, late, 0.5 + 2 * root, gb)


def copy(source, target, room, layout):
    """One pair of rows onto another."""
    row = layout[3]
    for m in range(2 * row):
        room[target * row + m] = room[source * row + m]


def propagate(
    time,
    tau,
    first_known,
    d,
    rows,
    columns,
    room,
    layout,
    radius,
    values,
    table,
    start,
    spacing,
    ga,
    gb,
    scratch,
):
    """A step without jumps; returns the norm squared after it."""
    if table.shape[0] == 1:
        return exponential(
            tau,
            first_known,
            ga,
            d,
            rows,
            columns,
            room,
            layout,
            radius,
            values,
            scratch,
        )
    means(time, tau, table, start, spacing, ga, gb)
    exponential(
        tau / 2, False, ga, d, rows, columns, room, layout, radius, values, scratch
    )
    return exponential(
        tau / 2, False, gb, d, rows, columns, room, layout, radius, values, scratch
    )


def apply_jump(channel, pieces, starts, places, entries, g, room, layout, out):
    """out = L_c state, shape (2, D); returns its norm squared."""
    margin, row, count = layout[2], layout[3], layout[0]
    out[:] = 0.0
    for piece in range(len(pieces)):
        if pieces[piece, 0] != channel:
            continue
        fr, fi = g[2 * pieces[piece, 1]], g[2 * pieces[piece, 1] + 1]
        for m in range(count):
            ar = 0.0
            ai = 0.0
            for n in range(starts[piece, m], starts[piece, m + 1]):
                x = margin + places[n]
                ar += entries[0, n] * room[x] - entries[1, n] * room[x + row]
                ai += entries[0, n] * room[x + row] + entries[1, n] * room[x]
            out[0, m] += fr * ar - fi * ai
            out[1, m] += fr * ai + fi * ar
    total = 0.0
    for m in range(count):
        total += out[0, m] * out[0, m] + out[1, m] * out[1, m]
    return total


def jump(rng, pieces, starts, places, entries, rates, g, room, layout, out, shares):
    """Choose a channel by the rates and put its jump in place of the state, normalized."""
    margin, row, count = layout[2], layout[3], layout[0]
    total = 0.0
    for channel in range(len(rates)):
        size = apply_jump(
            channel, pieces, starts, places, entries, g, room, layout, out
        )
        shares[channel] = max(g[2 * rates[channel]], 0.0) * size
        total += shares[channel]
    wanted = uniform(rng) * total
    chosen = -1
    for channel in range(len(rates)):
        if shares[channel] > 0.0:
            chosen = channel
            wanted -= shares[channel]
            if wanted <= 0.0:
                break
    if chosen < 0:
        return chosen
    size = apply_jump(chosen, pieces, starts, places, entries, g, room, layout, out)
    for m in range(count):
        room[margin + m] = out[0, m] / np.sqrt(size)
        room[row + margin + m] = out[1, m] / np.sqrt(size)
    return chosen


def advance(
    clock, goals, rng, room, layout, radius, values, longest, d, rows, columns, table, start, spacing,
    pieces, starts, places, entries, rates, out, when, which, ga, gb, scratch, buffer, shares,
):  # fmt: skip
    """Go through the goals, times in order; the normalized states there are put into `out`.

    `clock` is the time, the norm squared at which the next jump occurs, the norm squared now, the
    largest part of a step that was done again, and the numbers of goals and of jumps so far.
    Returns 0 at the end, 1 if the records of jumps are full, 2 if the norm grows, 3 if no jump
    is found.
    """
    margin, row, count = layout[2], layout[3], layout[0]
    damping = values[4]
    now, wanted, norm = clock[0], clock[1], clock[2]
    moving = table.shape[0] > 1
    saved = int(clock[4])
    jumps = int(clock[5])
    status = 0
    limit = longest
    before, norm_before, stride = now, norm, 0.0
    tries = 0
    while saved < len(goals):
        left = goals[saved] - now
        distance = np.log(norm / wanted)
        if left <= 1e-12 * max(abs(now), 1.0) and distance > -1e-8:
            size = np.sqrt(norm)
            for m in range(count):
                out[saved, m] = (room[margin + m] + 1j * room[row + margin + m]) / size
            saved += 1
            limit = longest
            tries = 0
            continue
        if abs(distance) <= 1e-8:
            if jumps == len(when):
                status = 1
                break
            ga[:] = 0.0
            interpolate(table, start, spacing, now, 1.0, ga)
            chosen = jump(
                rng,
                pieces,
                starts,
                places,
                entries,
                rates,
                ga,
                room,
                layout,
                buffer,
                shares,
            )
            if chosen < 0:
                status = 3
                break
            when[jumps] = now
            which[jumps] = chosen
            jumps += 1
            norm = 1.0
            wanted = uniform(rng)
            limit = longest
            stride = 0.0
            tries = 0
            continue
        # the rate at which the norm falls; chi_1 is the first term of the next step as well
        if moving:
            ga[:] = 0.0
            interpolate(table, start, spacing, now, 1.0, ga)
        term(0, 2, 0.5, 0.0, 0.0, ga, d, rows, columns, room, layout)
        dot = 0.0
        for m in range(margin, margin + count):
            dot += room[m] * room[2 * row + m] + room[row + m] * room[3 * row + m]
        rate = -2 * (radius * dot / norm + values[0])
        tau = min(left, limit)
        if rate > 0.0 and distance < rate * tau:
            tau = distance / rate
        elif distance < 0.0:
            tau = -stride
        if tau < 0.0 and (-tau > stride or -tau * damping > 1.0):
            # too far back for the growing exponential: once more from the start of the step
            if stride == 0.0:
                status = 3
                break
            copy(6, 0, room, layout)
            now, norm = before, norm_before
            limit = stride / 2
            stride = 0.0
            continue
        tries += 1
        if tries > 1000000:
            status = 3
            break
        if tau > 0.0:
            copy(0, 6, room, layout)
            before, norm_before, stride = now, norm, tau
        found = propagate(
            now, tau, not moving, d, rows, columns, room, layout, radius, values, table, start,
            spacing, ga, gb, scratch,
        )  # fmt: skip
        if not found >= 0.0 or (tau > 0.0 and found > norm * (1 + 1e-6)):
            status = 2
            break
        if tau < 0.0:
            stride += tau
        now += tau
        if tau == left:
            now = goals[saved]
        norm = found
    clock[0], clock[1], clock[2] = now, wanted, norm
    clock[4], clock[5] = saved, jumps
    return status
