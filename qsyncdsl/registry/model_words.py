"""Words of the model: kinds of modes, lattices, distributions, states, methods."""

from __future__ import annotations

from qsyncdsl.registry.entry import Registry, word

_KIND = "qsyncdsl.model.modes"
modes = Registry(
    "modes",
    (
        word(
            "boson",
            "levels: integer = 0",
            "boson",
            "harmonic mode, [a, a'] = 1",
            f"{_KIND}:boson",
        ),
        word(
            "qubit",
            "",
            "qubit",
            "two levels, Pauli operators, 1 is up",
            f"{_KIND}:qubit",
        ),
        word("spin", "s: real", "spin", "spin s, spin matrices", f"{_KIND}:spin"),
        word(
            "levels",
            "M: integer",
            "levels",
            "M levels, operators |n><m|",
            f"{_KIND}:levels",
        ),
        word(
            "ensemble",
            "N: integer",
            "ensemble",
            "N identical two-level systems",
            f"{_KIND}:ensemble",
        ),
        word(
            "rotor",
            "nmax: integer",
            "rotor",
            "angle x, integer n = -nmax..nmax",
            "qsyncdsl.model.rotors:rotor",
        ),
    ),
)

_GRAPH = "qsyncdsl.model.lattices"
_BOUNDARY = "boundary: word = {}"
_OPEN, _PERIODIC = (
    _BOUNDARY.format("open | periodic"),
    _BOUNDARY.format("periodic | open"),
)
lattices = Registry(
    "lattices",
    (
        word(
            "chain",
            f"N: integer, range: integer = 1, {_OPEN}",
            "lattice",
            "open line of N sites",
            f"{_GRAPH}:chain",
        ),
        word(
            "ring",
            f"N: integer, range: integer = 1, {_PERIODIC}",
            "lattice",
            "closed line of N sites",
            f"{_GRAPH}:ring",
        ),
        word(
            "square",
            f"Lx: integer, Ly: integer, {_OPEN}",
            "lattice",
            "square lattice, 4 neighbors",
            f"{_GRAPH}:square",
        ),
        word(
            "triangular",
            f"Lx: integer, Ly: integer, {_OPEN}",
            "lattice",
            "triangular lattice, 6 neighbors",
            f"{_GRAPH}:triangular",
        ),
        word(
            "honeycomb",
            f"Lx: integer, Ly: integer, {_OPEN}",
            "lattice",
            "honeycomb lattice, 3 neighbors",
            f"{_GRAPH}:honeycomb",
        ),
        word(
            "cubic",
            f"Lx: integer, Ly: integer, Lz: integer, {_OPEN}",
            "lattice",
            "cubic lattice, 6 neighbors",
            f"{_GRAPH}:cubic",
        ),
        word(
            "complete",
            "N: integer",
            "lattice",
            "every pair of N sites",
            f"{_GRAPH}:complete",
        ),
        word(
            "graph",
            "file: text",
            "lattice",
            "edges read from a CSV file",
            f"{_GRAPH}:graph",
        ),
    ),
)

distributions = Registry(
    "distributions",
    (
        word(
            "normal",
            "mean: real, deviation: real",
            "real",
            "Gaussian",
            "qsyncdsl.model.draws:normal",
        ),
        word(
            "uniform",
            "low: real, high: real",
            "real",
            "flat between low and high",
            "qsyncdsl.model.draws:uniform",
        ),
        word(
            "lorentzian",
            "center: real, width: real",
            "real",
            "Cauchy with half width at half maximum",
            "qsyncdsl.model.draws:lorentzian",
        ),
    ),
)

_STATE = "qsyncdsl.algebra.mode_states"
states = Registry(
    "states",
    (
        word("vacuum", "", "state", "lowest level", f"{_STATE}:vacuum"),
        word("fock", "n: integer", "state", "level n", f"{_STATE}:fock"),
        word(
            "coherent",
            "alpha: number = 0, x: real = 0, p: real = 0",
            "state",
            "displaced vacuum; for a rotor, coherent(x, p)",
            f"{_STATE}:coherent",
        ),
        word(
            "thermal",
            "n: real",
            "state",
            "thermal state with mean number n",
            f"{_STATE}:thermal",
        ),
        word("up", "", "state", "all spins up", f"{_STATE}:up"),
        word("down", "", "state", "all spins down", f"{_STATE}:down"),
    ),
)

variables = Registry(
    "variables",
    (
        word("angle", "", "variable", "real number modulo 2 pi"),
        word("real", "", "variable", "real number"),
        word("complex", "", "variable", "complex number"),
    ),
)

noises = Registry(
    "noises",
    (
        word("white", "S: real", "noise", "<xi(t) xi(t')> = S delta(t - t')"),
        word(
            "colored",
            "f: function, cutoff: real = 0",
            "noise",
            "two-sided spectrum f(w), zero above the cutoff",
        ),
    ),
)

_TIME = "time: real = 0, times: list = 0, window: list = 0, burn_in: real = 0"
_MOVING = ("time", "times")
_RUNS = "realizations: integer = 1, dt: real = 0, max_realizations: integer = 0"
_PROTOCOL = "protocol: word = reset | continue | updown"
_BACKEND = "backend: word = own | qutip"
_FRAME = "frame: word = automatic | vacuum | displaced"
methods = Registry(
    "methods",
    (
        word(
            "steadystate",
            f"{_BACKEND}, solver: word = automatic | direct | iterative | pardiso, accuracy: real = 0, {_FRAME}",
            "state",
            "density matrix with L rho = 0",
            "qsyncdsl.run.methods.states:steadystate",
        ),
        word(
            "evolve",
            f"{_TIME}, {_BACKEND}, accuracy: real = 0, {_FRAME}",
            "states",
            "density matrix in time",
            "qsyncdsl.run.methods.states:evolve",
            one_of=_MOVING,
        ),
        word(
            "eigen",
            "count: integer = 0, of: word = hamiltonian | liouvillian, accuracy: real = 0",
            "spectrum",
            "eigenstates of H or of the Liouvillian",
            "qsyncdsl.run.methods.states:eigen",
        ),
        word(
            "trajectories",
            f"{_TIME}, {_RUNS}, {_BACKEND}, accuracy: real = 0, cutoff: word = refuse | warn",
            "trajectories",
            "quantum jumps (Monte Carlo wave functions)",
            "qsyncdsl.run.methods.trajectories:trajectories",
            one_of=_MOVING,
        ),
        word(
            "floquet",
            f"{_TIME}, periods: integer = 1, period: real = 0",
            "states",
            "stroboscopic map of kicked or periodic models",
            "qsyncdsl.run.methods.states:floquet",
        ),
        word(
            "meanfield",
            f"{_TIME}, branch: word = rotating | static, state: word = coherent | incoherent, accuracy: real = 0, {_PROTOCOL}",
            "states",
            "self-consistent product state",
            "qsyncdsl.run.methods.product:meanfield",
        ),
        word(
            "langevin",
            f"{_TIME}, {_RUNS}, accuracy: real = 0, diffusion: word = exact | limit_cycle, ordering: word = symmetric | naive, calculus: word = ito | stratonovich, noise: word = gaussian | weak, scheme: word = heun | euler, {_PROTOCOL}",
            "trajectories",
            "truncated-Wigner stochastic equations",
            "qsyncdsl.run.methods.fields:langevin",
            one_of=_MOVING,
        ),
        word(
            "classical",
            f"{_TIME}, dt: real = 0, accuracy: real = 0, {_PROTOCOL}",
            "trajectories",
            "the same without noise and ordering corrections",
            "qsyncdsl.run.methods.fields:classical",
        ),
        word(
            "fokkerplanck",
            "diffusion: word = exact | limit_cycle, negative: word = clip | keep, ordering: word = symmetric | naive, branch: word = rotating | static, extent: real = 0, points: integer = 0",
            "density",
            "stationary semiclassical Wigner density of one mode, of many by mean field",
            "qsyncdsl.run.methods.fields:fokkerplanck",
        ),
        word(
            "gaussian",
            f"{_TIME}, relax: real = 0, accuracy: real = 0",
            "moments",
            "classical trajectory and covariance matrix",
            "qsyncdsl.run.methods.fields:gaussian",
        ),
        word(
            "cumulants",
            f"order: integer = 2, factorize: operators = 0, first_order: operators = 0, {_TIME}, accuracy: real = 0, {_PROTOCOL}",
            "moments",
            "closed moment equations",
            "qsyncdsl.run.methods.moments:cumulants",
        ),
    ),
)
