"""One stretch of a run, compiled together with the generated drift and noise of a model.

The source of `run` is read and put behind that of the model: `drift`, `advance`, `LANES` and
`NOISY` are names of the generated module. Nothing here is called from Python.
"""

# ruff: noqa: F821
# mypy: ignore-errors


def copy(ar, ai, br, bi):
    """Fields of one array into another; a slice would need the runtime of numba for its messages."""
    for row in range(ar.shape[0]):
        for lane in range(LANES):
            br[row, lane] = ar[row, lane]
            bi[row, lane] = ai[row, lane]


def run(
    xr, xi, state, c0r, c0i, wr, wi, tables, baths, dt, count, stride, halves, order, moving,
    outr, outi, room,
):  # fmt: skip
    """Advance all lanes by `count` steps; fields are saved after every `stride`-th one.

    Order 2 is the predictor-corrector scheme of Kloeden, Platen (1992), Eq. (15.5.4), with the noise
    of the beginning of the step (Ito): weak order 2 for additive noise, 1 for multiplicative noise;
    rotation is damped or pumped only at order dt^3. Order 1 is Euler-Maruyama.
    With `halves` = 2 every random number is made of two of a run with half the step, so that
    both runs see the same noise.

    Returns the number of saved fields, of clipped diffusions, and of the last finite step.
    """
    ar, ai, br, bi, d0r, d0i, d1r, d1i = room
    copy(xr, xi, ar, ai)
    saved = 0
    clipped = 0
    reached = count
    if order == 1:
        # the fields after a step take the place of its drift
        br, bi = d0r, d0i
    for step in range(count):
        now = step if moving else 0
        cr, ci = c0r[now], c0i[now]
        drift(cr, ci, wr, wi, tables, ar, ai, d0r, d0i)
        if NOISY:
            clipped += advance(
                cr, ci, wr, wi, tables, baths, ar, ai, d0r, d0i, dt, state, step & 1, halves,
                br, bi,
            )  # fmt: skip
        else:
            for row in range(ar.shape[0]):
                for lane in range(LANES):
                    br[row, lane] = ar[row, lane] + dt * d0r[row, lane]
                    bi[row, lane] = ai[row, lane] + dt * d0i[row, lane]
        if order == 1:
            ar, br, d0r = br, ar, ar
            ai, bi, d0i = bi, ai, ai
        else:
            after = step + 1 if moving else 0
            drift(c0r[after], c0i[after], wr, wi, tables, br, bi, d1r, d1i)
            half_step = 0.5 * dt
            for row in range(ar.shape[0]):
                for lane in range(LANES):
                    ar[row, lane] = br[row, lane] + half_step * (
                        d1r[row, lane] - d0r[row, lane]
                    )
                    ai[row, lane] = bi[row, lane] + half_step * (
                        d1i[row, lane] - d0i[row, lane]
                    )
        if (step + 1) % stride == 0:
            total = 0.0
            for row in range(ar.shape[0]):
                for lane in range(LANES):
                    outr[saved, row, lane] = ar[row, lane]
                    outi[saved, row, lane] = ai[row, lane]
                    total += ar[row, lane] * 0.0 + ai[row, lane] * 0.0
            saved += 1
            if total != 0.0:
                reached = step
                break
    copy(ar, ai, xr, xi)
    return saved, clipped, reached
