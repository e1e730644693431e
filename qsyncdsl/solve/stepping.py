"""One stretch of a run, compiled together with the generated drift and noise of a model.

The source of `run` is read and put behind that of the model: `drift`, `increments`, `LANES`,
`NORMALS` and `SUMS` are names of the generated module. Nothing here is called from Python.
"""

# ruff: noqa: F821, C901
# mypy: ignore-errors


def run(
    xr, xi, state, c0r, c0i, wr, wi, tables, baths, dt, first, count, stride, halves, order,
    weak, moving, outr, outi, room,
):  # fmt: skip
    """Advance all lanes by `count` steps; fields are saved after every `stride`-th one.

    Order 2 is the predictor-corrector scheme of Kloeden, Platen (1992), Eq. (15.5.4), with the noise
    of the beginning of the step (Ito): weak order 2 for additive noise, 1 for multiplicative noise;
    rotation is damped or pumped only at order dt^3. Order 1 is Euler-Maruyama.
    `weak` is 0 for Gaussian noise, else its order: two points suffice for 1, three for 2.
    With `halves` = 2 every normal number is the mean of two of a run with half the step, so that
    both runs see the same noise.

    Returns the number of saved fields, of clipped diffusions, and of the last finite step.
    """
    d0r, d0i, px, py, d1r, d1i, nr, ni, z, more, bits = room
    saved = 0
    clipped = 0
    for step in range(count):
        now = step if moving else 0
        cr, ci = c0r[now], c0i[now]
        if NORMALS:
            if weak == 1:
                two_point(state, z, bits)
            elif weak:
                three_point(state, z, bits)
            else:
                gaussian(state, z, bits)
            for _ in range(1, halves):
                if weak == 1:
                    two_point(state, more, bits)
                elif weak:
                    three_point(state, more, bits)
                else:
                    gaussian(state, more, bits)
                for row in range(z.shape[0]):
                    for lane in range(LANES):
                        z[row, lane] += more[row, lane]
            if halves > 1:
                scale = 1.0 / np.sqrt(halves)
                for row in range(z.shape[0]):
                    for lane in range(LANES):
                        z[row, lane] *= scale
            clipped += increments(cr, ci, wr, wi, tables, baths, xr, xi, z, dt, nr, ni)
        drift(cr, ci, wr, wi, tables, xr, xi, d0r, d0i)
        if order == 1:
            for row in range(xr.shape[0]):
                for lane in range(LANES):
                    xr[row, lane] += dt * d0r[row, lane] + nr[row, lane]
                    xi[row, lane] += dt * d0i[row, lane] + ni[row, lane]
        else:
            for row in range(xr.shape[0]):
                for lane in range(LANES):
                    px[row, lane] = xr[row, lane] + dt * d0r[row, lane] + nr[row, lane]
                    py[row, lane] = xi[row, lane] + dt * d0i[row, lane] + ni[row, lane]
            after = step + 1 if moving else 0
            drift(c0r[after], c0i[after], wr, wi, tables, px, py, d1r, d1i)
            half_step = 0.5 * dt
            for row in range(xr.shape[0]):
                for lane in range(LANES):
                    xr[row, lane] += (
                        half_step * (d0r[row, lane] + d1r[row, lane]) + nr[row, lane]
                    )
                    xi[row, lane] += (
                        half_step * (d0i[row, lane] + d1i[row, lane]) + ni[row, lane]
                    )
        if (first + step + 1) % stride == 0:
            total = 0.0
            for row in range(xr.shape[0]):
                for lane in range(LANES):
                    outr[saved, row, lane] = xr[row, lane]
                    outi[saved, row, lane] = xi[row, lane]
                    total += xr[row, lane] * 0.0 + xi[row, lane] * 0.0
            saved += 1
            if total != 0.0:
                return saved, clipped, first + step
    return saved, clipped, first + count
