"""Steps of typed equations, compiled together with the generated `right(y, data, out)`.

The functions are read as text and put behind that of the model. Nothing here is called from Python.
"""

# ruff: noqa: F821
# mypy: ignore-errors

import numpy as np


def iterate(y, counts, data):
    """A map after each number of steps in `counts` (ascending); stops where y is not finite."""
    n = len(y)
    found = np.full((len(counts), n), np.nan)
    now, after = y.copy(), np.empty(n)
    done = 0
    for place in range(len(counts)):
        while done < counts[place]:
            right(now, data, after)
            now[:] = after
            done += 1
        found[place] = now
        if not np.isfinite(now).all():
            return found, place
    return found, len(counts)


def stochastic(y, noises, dt, stride, ito, data, xi, out):
    """Predictor-corrector steps with given noises, shape (steps, m); saved after each `stride`.

    The noises are constant in a step, with variance S/dt; `xi` is where `data` has them. Heun's
    scheme (`ito` false) converges to the Stratonovich solution; with `ito` the noise of the beginning
    of the step is used (Kloeden, Platen (1992), Eq. (15.5.4)). For additive noise both are the same.
    """
    n, m = len(y), noises.shape[1]
    first, second, still = np.empty(n), np.empty(n), np.empty(n)
    trial = np.empty(n)
    saved = 0
    for step in range(noises.shape[0]):
        for k in range(m):
            xi[k] = noises[step, k]
        right(y, data, first)
        for j in range(n):
            trial[j] = y[j] + dt * first[j]
        if ito:
            for k in range(m):
                xi[k] = 0.0
            right(y, data, still)
            right(trial, data, second)
            for j in range(n):
                y[j] += dt * (first[j] + 0.5 * (second[j] - still[j]))
        else:
            right(trial, data, second)
            for j in range(n):
                y[j] += 0.5 * dt * (first[j] + second[j])
        if (step + 1) % stride == 0:
            out[saved] = y
            saved += 1
            if not np.isfinite(y).all():
                return saved
    return saved


def noisy_steps(y, noises, stride, data, xi, out):
    """A map with given noises, shape (steps, m)."""
    after = np.empty(len(y))
    saved = 0
    for step in range(noises.shape[0]):
        for k in range(noises.shape[1]):
            xi[k] = noises[step, k]
        right(y, data, after)
        y[:] = after
        if (step + 1) % stride == 0:
            out[saved] = y
            saved += 1
            if not np.isfinite(y).all():
                return saved
    return saved
