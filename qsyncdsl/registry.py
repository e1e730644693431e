"""The directory of words that a file may use: one entry a word, loaded on first use.

A word's signature is data, so that the checker knows it without importing any numerics.
Installed packages add words through the entry-point group `qsyncdsl.<registry>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from qsyncdsl.diagnostics import InternalError


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a word.

    Attributes:
        name: As it may be written, `name = value`.
        kind: What it must be: `mode`, `subsystem` (a mode, a list or a slice of modes),
            `operator`, `number`, `integer`, `real`, `condition`, `expression` (evaluated by the
            word itself, point by point), `word` (one of `words`), `list`, `measure`, `text`.
        words: The words allowed, the default first, where `kind` is `word`.
        required: Whether it must be given.
        many: Whether it takes all remaining positional arguments.
    """

    name: str
    kind: str
    words: tuple[str, ...] = ()
    required: bool = True
    many: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """One entry: what it is called, what it takes and gives, where it lives.

    Attributes:
        target: `"module:object"`, or empty for a word that is known but not implemented yet.
        gives: Kind of the result: `number`, `real`, `distribution`, `map`, `list`, ... .
        about: One line for the reference and for editors.
    """

    name: str
    target: str
    arguments: tuple[Argument, ...]
    gives: str
    about: str

    @property
    def available(self) -> bool:
        """Whether the word is implemented."""
        return bool(self.target)

    def load(self) -> Any:
        """Import the object behind the word."""
        if not self.target:
            raise InternalError(f"'{self.name}' is not implemented and was not refused")
        module, _, name = self.target.partition(":")
        return getattr(import_module(module), name)


class Registry(Mapping[str, Word]):
    """A read-only mapping from words to their entries."""

    def __init__(self, name: str, words: tuple[Word, ...]) -> None:
        self.name = name
        self._built_in = words

    @cached_property
    def _words(self) -> dict[str, Word]:
        words = {word.name: word for word in self._built_in}
        for entry in entry_points(group=f"qsyncdsl.{self.name}"):
            plugged = entry.load()
            words[plugged.name] = plugged
        return words

    def __getitem__(self, name: str) -> Word:
        return self._words[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


def word(name: str, signature: str, gives: str, about: str, target: str = "") -> Word:
    """Write an entry in one line.

    The signature lists `name: kind`, with ` = ` before the allowed words or the default of an
    optional argument, and `*` before an argument that takes the rest.

    >>> word("ring", "N: integer, range: integer = 1", "lattice", "closed chain").arguments[1]
    Argument(name='range', kind='integer', words=(), required=False, many=False)
    """
    arguments = tuple(_argument(text) for text in signature.split(",") if text.strip())
    return Word(name, target, arguments, gives, about)


def _argument(text: str) -> Argument:
    """`kind: word = von_neumann | renyi2`."""
    declared, _, default = text.partition("=")
    name, _, kind = (part.strip() for part in declared.partition(":"))
    many = name.startswith("*")
    words = tuple(w.strip() for w in default.split("|")) if kind == "word" else ()
    return Argument(
        name.lstrip("*"),
        kind,
        words,
        required=not default.strip() and not many,
        many=many,
    )


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
            f"{_KIND}:rotor",
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

_STATE = "qsyncdsl.algebra.states"
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
        word("colored", "f: function", "noise", "two-sided spectrum f(w)"),
    ),
)

_TIME = "time: real = 0, times: list = 0, window: list = 0, burn_in: real = 0"
_RUNS = "realizations: integer = 1, dt: real = 0"
_PROTOCOL = "protocol: word = reset | continue | updown"
_BACKEND = "backend: word = own | qutip"
methods = Registry(
    "methods",
    (
        word(
            "steadystate",
            f"{_BACKEND}, solver: word = automatic | direct | iterative, displace: condition = 0, accuracy: real = 0",
            "state",
            "density matrix with L rho = 0",
            "qsyncdsl.run.methods:steadystate",
        ),
        word(
            "evolve",
            f"{_TIME}, {_BACKEND}, accuracy: real = 0",
            "states",
            "density matrix in time",
            "qsyncdsl.run.methods:evolve",
        ),
        word(
            "eigen",
            "count: integer = 0, of: word = hamiltonian | liouvillian",
            "spectrum",
            "eigenstates of H or of the Liouvillian",
            "qsyncdsl.run.methods:eigen",
        ),
        word(
            "trajectories",
            f"{_TIME}, {_RUNS}, {_BACKEND}",
            "trajectories",
            "quantum jumps (Monte Carlo wave functions)",
        ),
        word(
            "floquet",
            f"{_TIME}, periods: integer = 1",
            "states",
            "stroboscopic map of kicked or periodic models",
        ),
        word(
            "meanfield",
            f"{_TIME}, branch: word = rotating | static, state: word = coherent | incoherent, {_PROTOCOL}",
            "states",
            "self-consistent product state",
        ),
        word(
            "langevin",
            f"{_TIME}, {_RUNS}, diffusion: word = exact | limit_cycle, ordering: word = symmetric | naive, calculus: word = ito, noise: word = gaussian | weak, {_PROTOCOL}",
            "trajectories",
            "truncated-Wigner stochastic equations",
        ),
        word(
            "classical",
            f"{_TIME}, dt: real = 0, {_PROTOCOL}",
            "trajectories",
            "the same without noise and ordering corrections",
        ),
        word(
            "fokkerplanck",
            "diffusion: word = exact | limit_cycle, ordering: word = symmetric | naive, extent: real = 0, points: integer = 0",
            "density",
            "stationary semiclassical Wigner density of one mode",
        ),
        word(
            "gaussian",
            f"{_TIME}, relax: real = 0",
            "moments",
            "classical trajectory and covariance matrix",
        ),
        word(
            "cumulants",
            f"order: integer = 2, factorize: list = 0, {_TIME}",
            "moments",
            "closed moment equations",
        ),
    ),
)

# Functions of numbers; those of operators act on the whole operator.
functions = Registry(
    "functions",
    tuple(
        word(name, signature, gives, about)
        for name, signature, gives, about in (
            ("sqrt", "x: number", "number", "square root"),
            ("exp", "x: number", "number", "exponential"),
            ("log", "x: number", "number", "natural logarithm"),
            ("sin", "x: number", "number", "sine"),
            ("cos", "x: number", "number", "cosine"),
            ("tan", "x: number", "number", "tangent"),
            ("asin", "x: number", "number", "inverse sine"),
            ("acos", "x: number", "number", "inverse cosine"),
            ("atan", "x: number", "number", "inverse tangent"),
            ("sinh", "x: number", "number", "hyperbolic sine"),
            ("cosh", "x: number", "number", "hyperbolic cosine"),
            ("tanh", "x: number", "number", "hyperbolic tangent"),
            ("abs", "x: number", "real", "modulus"),
            ("arg", "x: number", "real", "phase in (-pi, pi]"),
            ("real", "x: number", "real", "real part"),
            ("imag", "x: number", "real", "imaginary part"),
            ("conj", "x: number", "number", "complex conjugate"),
            ("dag", "x: operator", "operator", "adjoint, as x'"),
            ("floor", "x: real", "integer", "largest integer not above x"),
            ("ceil", "x: real", "integer", "smallest integer not below x"),
            ("round", "x: real", "integer", "nearest integer"),
            ("sign", "x: real", "integer", "sign of x"),
            ("step", "x: real", "real", "0 for x < 0, else 1"),
            ("min", "*x: real", "real", "smallest"),
            ("max", "*x: real", "real", "largest"),
            ("sum", "binder: each, x: number", "number", "sum(j in sites, x)"),
            (
                "linspace",
                "start: real, stop: real, count: integer",
                "list",
                "equally spaced numbers, both ends",
            ),
            (
                "logspace",
                "start: real, stop: real, count: integer",
                "list",
                "numbers in equal ratios, both ends",
            ),
            (
                "integral",
                "start: real, stop: real, nodes: integer",
                "nodes",
                "weighted Gauss-Legendre nodes",
            ),
            (
                "z",
                "sites: lattice",
                "integer",
                "coordination number: z(sites) in the bulk, z(j) of a site",
            ),
        )
    ),
)

_M = "qsyncdsl.measure"
measures = Registry(
    "measures",
    (
        word(
            "phase_coherence",
            "a: mode",
            "real",
            "|<a>|/sqrt(<a'a>)",
            f"{_M}.phase:phase_coherence",
        ),
        word(
            "phase_distribution",
            "a: mode",
            "distribution",
            "P(phi), phi = arg a, phase states",
            f"{_M}.phase:phase_distribution",
        ),
        word(
            "relative_phase",
            "a: mode, b: mode",
            "distribution",
            "P(phi_a - phi_b) in (-pi, pi]",
            f"{_M}.phase:relative_phase",
        ),
        word(
            "phase_moment",
            "a: mode, b: mode, k: integer",
            "number",
            "<exp(i k (phi_a - phi_b))>",
            f"{_M}.phase:phase_moment",
        ),
        word(
            "sync_complete",
            "a: mode, b: mode",
            "real",
            "S_c of Mari et al.",
            f"{_M}.quadrature:sync_complete",
        ),
        word(
            "sync_phase",
            "a: mode, b: mode",
            "real",
            "S_p of Mari et al.",
            f"{_M}.quadrature:sync_phase",
        ),
        word(
            "covariance",
            "*parts: operator",
            "list",
            "symmetrized covariance of quadratures",
            f"{_M}.quadrature:covariance",
        ),
        word("g2", "a: mode", "real", "<a'a'aa>/<a'a>^2", f"{_M}.quadrature:g2"),
        word(
            "var",
            "operator: operator",
            "real",
            "<O^2> - <O>^2",
            f"{_M}.quadrature:variance",
        ),
        word(
            "entropy",
            "part: subsystem = 0",
            "real",
            "von Neumann entropy in nats",
            f"{_M}.information:entropy",
        ),
        word(
            "purity",
            "part: subsystem = 0",
            "real",
            "Tr rho^2",
            f"{_M}.information:purity",
        ),
        word(
            "mutual_information",
            "A: subsystem, B: subsystem, kind: word = von_neumann | renyi2",
            "real",
            "S(A) + S(B) - S(AB)",
            f"{_M}.information:mutual_information",
        ),
        word(
            "concurrence",
            "a: mode, b: mode, levels: integer = 0",
            "real",
            "Wootters concurrence",
            f"{_M}.information:concurrence",
        ),
        word(
            "negativity",
            "A: subsystem, B: subsystem",
            "real",
            "sum of |negative eigenvalues| of the partial transpose",
            f"{_M}.information:negativity",
        ),
        word(
            "log_negativity",
            "A: subsystem, B: subsystem",
            "real",
            "ln of the trace norm of the partial transpose",
            f"{_M}.information:log_negativity",
        ),
        word(
            "discord",
            "a: mode, b: mode, measured: mode = 0",
            "real",
            "quantum discord",
            f"{_M}.information:discord",
        ),
        word(
            "spin_correlation",
            "a: mode, b: mode",
            "real",
            "<z z> - <z><z>",
            f"{_M}.information:spin_correlation",
        ),
        word(
            "fidelity",
            "state: state",
            "real",
            "fidelity with a product state",
            f"{_M}.information:fidelity",
        ),
        word(
            "wigner",
            "a: mode, extent: real = 5, points: integer = 201",
            "map",
            "W(alpha), integral 1",
            f"{_M}.phase_space:wigner",
        ),
        word(
            "husimi",
            "a: mode, extent: real = 5, points: integer = 201",
            "map",
            "Q(alpha), integral 1",
            f"{_M}.phase_space:husimi",
        ),
        word(
            "fock_distribution",
            "a: mode",
            "distribution",
            "populations of the levels",
            f"{_M}.phase_space:fock_distribution",
        ),
        word(
            "correlation",
            "A: operator, B: operator, times: list = 0",
            "distribution",
            "<A(t)B(0)>",
            f"{_M}.spectrum:correlation",
        ),
        word(
            "spectrum",
            "A: operator, B: operator, frequencies: list = 0",
            "distribution",
            "integral of exp(iwt) <A(t)B(0)> less <A><B>",
            f"{_M}.spectrum:spectrum",
        ),
        word(
            "coherent_weight",
            "A: operator, B: operator",
            "number",
            "<A><B>, the weight of the delta peak",
            f"{_M}.spectrum:coherent_weight",
        ),
        word(
            "linewidth",
            "A: operator, B: operator",
            "real",
            "full width of the dominant line",
            f"{_M}.spectrum:linewidth",
        ),
        word(
            "poles",
            "A: operator, B: operator",
            "list",
            "complex poles of the correlation",
            f"{_M}.spectrum:poles",
        ),
        word(
            "peak",
            "A: operator, B: operator",
            "real",
            "frequency of the highest peak",
            f"{_M}.spectrum:peak",
        ),
        word(
            "observed_frequency",
            "a: mode",
            "real",
            "H = w a'a gives +w",
            f"{_M}.spectrum:observed_frequency",
        ),
        word(
            "liouvillian_gap",
            "",
            "real",
            "smallest non-zero decay rate",
            f"{_M}.spectrum:liouvillian_gap",
        ),
        word(
            "eigenvalues",
            "k: number = 0",
            "list",
            "eigenvalues of the generator, or of a matrix",
            f"{_M}.spectrum:eigenvalues",
        ),
        word(
            "eigenenergies",
            "k: integer, part: subsystem = 0",
            "list",
            "the k lowest levels of H",
            f"{_M}.spectrum:eigenenergies",
        ),
        word("order_parameter", "modes: subsystem", "real", "|mean exp(i phi)|"),
        word(
            "collective_amplitude",
            "modes: subsystem",
            "real",
            "rotating part of mean <b>",
        ),
        word(
            "phase_correlation",
            "modes: subsystem, d: integer",
            "real",
            "C(d) on a lattice",
        ),
        word(
            "residence_times",
            "x: expression, near: list, enter: real",
            "list",
            "mean stays near given values",
        ),
        word("winding", "phi: expression", "real", "mean angular velocity"),
        word(
            "locked",
            "phi1: expression, phi2: expression, m: integer, n: integer",
            "condition",
            "m phi1 - n phi2 is bounded",
        ),
        word("plateaus", "y: measure, x: measure", "list", "flat steps of a staircase"),
        word("phase_slips", "x: expression", "real", "rate of slips of 2 pi"),
        word("growth_rate", "", "real", "largest growth rate of a small perturbation"),
        word("classical_trajectory", "", "list", "the classical orbit"),
        word(
            "along",
            "x: expression",
            "list",
            "x along each trajectory",
            f"{_M}.statistics:along",
        ),
        word(
            "timeaverage",
            "x: expression, window: list = 0",
            "number",
            "mean of x(t) over the window",
            f"{_M}.statistics:timeaverage",
        ),
        word("mean", "x: expression", "number", "mean", f"{_M}.statistics:mean"),
        word(
            "final",
            "x: expression",
            "number",
            "value at the last time",
            f"{_M}.statistics:final",
        ),
        word(
            "fraction",
            "x: condition",
            "real",
            "share of the time or of the items",
            f"{_M}.statistics:fraction",
        ),
        word(
            "argmax",
            "x: expression",
            "real",
            "where a distribution is largest",
            f"{_M}.values:argmax",
        ),
    ),
)
