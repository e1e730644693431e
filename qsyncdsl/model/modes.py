"""The mode kinds: letters, products, adjoints, dimensions and matrices. One value a kind.

A word is a normal-ordered element of one mode's algebra, a tuple that begins with its form:
`("a", p, q)` is a'^p a^q, `("E", n, m)` is |n><m|, `("J", p, k, q)` is J+^p Jz^k J-^q; those of rotors
are in `rotors`. The identity is the empty tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, perm
from typing import Any

from qsyncdsl.registry import modes

Word = tuple[Any, ...]
Combination = dict[Word, Any]
IDENTITY: Word = ()


@dataclass(frozen=True, slots=True)
class ModeKind:
    """One kind of quantum degree of freedom.

    Attributes:
        name: The word of the language.
        letters: Attribute names that a user may write, and what each is:
            `letter(size, ring, *arguments)` gives a combination of words.
        bare: Whether the mode's own name is an operator (the first letter).
        times: Product of two words, `times(u, v, size, ring)`; None where they have to stay side by side.
        adjoint: Adjoint of a word, `adjoint(u, size, ring)`.
        dimension: Number of basis states for a size.
        first: Label of the first basis state.
        element: Matrix of a word, `element(word, size, dimension)`: lists of rows, columns
            and values.
        text: A word for people to read, given the mode's label.
    """

    name: str
    letters: Mapping[str, Callable[..., Combination]]
    bare: str
    times: Callable[[Word, Word, Any, Any], Combination | None]
    adjoint: Callable[[Word, Any, Any], Combination]
    dimension: Callable[[Any], int]
    first: Callable[[Any], int]
    element: Callable[[Word, Any, int], tuple[list[int], list[int], list[float]]]
    text: Callable[[Word, str], str]

    def __reduce__(self) -> tuple[Callable[[str], ModeKind], tuple[str]]:
        """Kept by its word.

        Raises:
            TypeError: Unless it is the kind of that word.
        """
        if modes[self.name].load() is not self:
            raise TypeError(f"'{self.name}' is another kind")
        return kind_named, (self.name,)


def kind_named(name: str) -> ModeKind:
    """The kind behind a word."""
    kind: ModeKind = modes[name].load()
    return kind


# ── bosons ───────────────────────────────────────────────────────────────────────────────────


def _ladder(p: int, q: int) -> Word:
    return ("a", p, q) if p or q else IDENTITY


def _boson_times(u: Word, v: Word, size: Any, ring: Any) -> Combination:
    """a'^p a^q a'^r a^s = sum_k k! C(q,k) C(r,k) a'^(p+r-k) a^(q+s-k); and with |n><m|."""
    if u[0] == "a" and v[0] == "a":
        (_, p, q), (_, r, s) = u, v
        return {
            _ladder(p + r - k, q + s - k): factorial(k) * comb(q, k) * comb(r, k)
            for k in range(min(q, r) + 1)
        }
    if u[0] == "E" and v[0] == "E":
        return {("E", u[1], v[2]): 1} if u[2] == v[1] else {}
    if u[0] == "a":
        return _boson_raise(u[1], u[2], v[1], lambda n: ("E", n, v[2]), ring)
    # |n><m| a'^p a^q is the adjoint of a'^q a^p |m><n|.
    return _boson_raise(v[2], v[1], u[2], lambda m: ("E", u[1], m), ring)


def _boson_raise(
    p: int, q: int, n: int, make: Callable[[int], Word], ring: Any
) -> Combination:
    """a'^p a^q |n> = sqrt(n!/(n-q)! (n-q+p)!/(n-q)!) |n-q+p>."""
    if q > n:
        return {}
    return {make(n - q + p): ring.sqrt(perm(n, q) * perm(n - q + p, p))}


def _boson_element(
    word: Word, size: Any, dimension: int
) -> tuple[list[int], list[int], list[float]]:
    if word[0] == "E":
        return unit_element(word, size, dimension)
    _, p, q = word
    columns = [n for n in range(q, dimension) if n - q + p < dimension]
    rows = [n - q + p for n in columns]
    values = [(perm(n, q) * perm(n - q + p, p)) ** 0.5 for n in columns]
    return rows, columns, values


def _boson_text(word: Word, label: str) -> str:
    if word[0] == "E":
        return unit_text(word, label)
    _, p, q = word
    return " ".join(f"{label}{mark}{power(k)}" for mark, k in (("†", p), ("", q)) if k)


def _quadrature(sign: int) -> Callable[..., Combination]:
    """q = (a + a')/sqrt(2) for sign +1, p = i(a' - a)/sqrt(2) for sign -1."""

    def letter(size: Any, ring: Any) -> Combination:
        half = ring.number(1) / ring.sqrt(2)
        if sign > 0:
            return {("a", 0, 1): half, ("a", 1, 0): half}
        return {("a", 0, 1): -ring.imaginary * half, ("a", 1, 0): ring.imaginary * half}

    return letter


boson = ModeKind(
    name="boson",
    letters={
        "a": lambda size, ring: {("a", 0, 1): 1},
        "n": lambda size, ring: {("a", 1, 1): 1},
        "q": _quadrature(+1),
        "p": _quadrature(-1),
    },
    bare="a",
    times=_boson_times,
    adjoint=lambda u, size, ring: {(u[0], u[2], u[1]): 1},
    dimension=lambda size: size,
    first=lambda size: 0,
    element=_boson_element,
    text=_boson_text,
)


# ── finitely many levels: |0><0| is written as 1 - sum of the other projectors ───────────────


def _unit(n: int, m: int, dimension: int) -> Combination:
    """|n><m| in normal form."""
    if n or m:
        return {("E", n, m): 1}
    return {IDENTITY: 1, **{("E", k, k): -1 for k in range(1, dimension)}}


def _units(entries: dict[tuple[int, int], Any], dimension: int) -> Combination:
    """A matrix given by its entries, in normal form."""
    total: Combination = {}
    for (n, m), value in entries.items():
        for word, factor in _unit(n, m, dimension).items():
            total[word] = total.get(word, 0) + factor * value
    return {word: value for word, value in total.items() if value != 0}


def _levels_times(dimension: Callable[[Any], int]) -> Callable[..., Combination]:
    def times(u: Word, v: Word, size: Any, ring: Any) -> Combination:
        return _unit(u[1], v[2], dimension(size)) if u[2] == v[1] else {}

    return times


def unit_element(
    word: Word, size: Any, dimension: int
) -> tuple[list[int], list[int], list[float]]:
    """Matrix of |n><m|."""
    _, n, m = word
    return ([n], [m], [1.0]) if max(n, m) < dimension else ([], [], [])


def unit_text(word: Word, label: str) -> str:
    """|n><m| to be read."""
    return f"|{word[1]}⟩⟨{word[2]}|({label})"


def _qubit_text(word: Word, label: str) -> str:
    return {(1, 0): f"σ⁺({label})", (0, 1): f"σ⁻({label})", (1, 1): f"|1⟩⟨1|({label})"}[
        word[1:]
    ]


def _finite(
    name: str,
    letters: Mapping[str, Callable[..., Combination]],
    dimension: Callable[[Any], int],
    text: Callable[[Word, str], str] = unit_text,
) -> ModeKind:
    """A kind with finitely many levels."""
    return ModeKind(
        name=name,
        letters=letters,
        bare="",
        times=_levels_times(dimension),
        adjoint=lambda u, size, ring: {("E", u[2], u[1]): 1},
        dimension=dimension,
        first=lambda size: 0,
        element=unit_element,
        text=text,
    )


def _pauli(
    entries: Callable[[Any], dict[tuple[int, int], Any]],
) -> Callable[..., Combination]:
    return lambda size, ring: _units(entries(ring), 2)


_PAULI: dict[str, Callable[..., Combination]] = {
    "x": _pauli(lambda ring: {(0, 1): 1, (1, 0): 1}),
    "y": _pauli(lambda ring: {(1, 0): -ring.imaginary, (0, 1): ring.imaginary}),
    "z": _pauli(lambda ring: {(1, 1): 1, (0, 0): -1}),
    "plus": _pauli(lambda ring: {(1, 0): 1}),
    "minus": _pauli(lambda ring: {(0, 1): 1}),
    "n": _pauli(lambda ring: {(1, 1): 1}),
}

qubit = _finite("qubit", _PAULI, lambda size: 2, _qubit_text)
levels = _finite("levels", {}, lambda size: int(size))


def _spin_ladder(size: Any, ring: Any, step: int) -> dict[tuple[int, int], Any]:
    """S+ (step 1) or S- (step -1): sqrt(s(s+1) - m(m+1)) between m and m + 1, n = m + s."""
    top = round(2 * size)
    values = {n: ring.sqrt((top - n) * (n + 1)) for n in range(top)}
    return {
        ((n + 1, n) if step > 0 else (n, n + 1)): value for n, value in values.items()
    }


def _spin(
    entries: Callable[[Any, Any], dict[tuple[int, int], Any]],
) -> Callable[..., Combination]:
    return lambda size, ring: _units(entries(size, ring), round(2 * size) + 1)


def _spin_half_sum(sign: int) -> Callable[[Any, Any], dict[tuple[int, int], Any]]:
    """S_x = (S+ + S-)/2 for sign +1, S_y = (S+ - S-)/2i for sign -1."""

    def entries(size: Any, ring: Any) -> dict[tuple[int, int], Any]:
        half = ring.number(Fraction(1, 2))
        up = half if sign > 0 else -ring.imaginary * half
        down = half if sign > 0 else ring.imaginary * half
        raised = {nm: up * v for nm, v in _spin_ladder(size, ring, +1).items()}
        return raised | {nm: down * v for nm, v in _spin_ladder(size, ring, -1).items()}

    return entries


spin = _finite(
    "spin",
    {
        "x": _spin(_spin_half_sum(+1)),
        "y": _spin(_spin_half_sum(-1)),
        "z": _spin(
            lambda size, ring: {
                (n, n): ring.number(Fraction(2 * n - round(2 * size), 2))
                for n in range(round(2 * size) + 1)
            }
        ),
        "plus": _spin(lambda size, ring: _spin_ladder(size, ring, +1)),
        "minus": _spin(lambda size, ring: _spin_ladder(size, ring, -1)),
        "n": _spin(lambda size, ring: {(1, 1): 1}),
    },
    lambda size: round(2 * size) + 1,
)


# ── ensembles: collective words J+^p Jz^k J-^q ───────────────────────────────────────────────


def _collective(p: int, k: int, q: int) -> Word:
    return ("J", p, k, q) if p or k or q else IDENTITY


def _ensemble_times(u: Word, v: Word, size: Any, ring: Any) -> Combination:
    """Move the raising operators of v to the left, one at a time, by [J-, J+] = -2 Jz."""
    total: Combination = {}
    for word, value in _lower_past_raise(u[3], v[1]).items():
        # J+^p Jz^k (J+^r Jz^m J-^s) Jz^k' J-^q': Jz passes J+ by Jz J+ = J+ (Jz + 1).
        _, r, m, s = word if word else ("J", 0, 0, 0)
        for a in range(u[2] + 1):
            left = comb(u[2], a) * r ** (u[2] - a)
            for b in range(v[2] + 1):
                right = comb(v[2], b) * s ** (v[2] - b)
                key = _collective(u[1] + r, a + m + b, s + v[3])
                if left * right:
                    total[key] = total.get(key, 0) + left * right * value
    return {word: value for word, value in total.items() if value != 0}


def _lower_past_raise(q: int, r: int) -> Combination:
    """J-^q J+^r in normal order."""
    if q == 0 or r == 0:
        return {_collective(r, 0, q): 1}
    total: Combination = {}
    # J- J+^r = J+^r J- - r J+^(r-1) (2 Jz + r - 1).
    first = {("J", r, 0, 1): 1, _collective(r - 1, 1, 0): -2 * r}
    constant = _collective(r - 1, 0, 0)
    first[constant] = first.get(constant, 0) - r * (r - 1)
    for word, value in first.items():
        if value == 0:
            continue
        _, p, k, s = word if word else ("J", 0, 0, 0)
        for lower, factor in _lower_past_raise(q - 1, p).items():
            _, a, b, c = lower if lower else ("J", 0, 0, 0)
            # J+^a Jz^b J-^c Jz^k J-^s with J- Jz = (Jz + 1) J-.
            for d in range(k + 1):
                key = _collective(a, b + d, c + s)
                weight = comb(k, d) * c ** (k - d)
                if weight:
                    total[key] = total.get(key, 0) + value * factor * weight
    return {word: value for word, value in total.items() if value != 0}


def _ensemble_element(
    word: Word, size: Any, dimension: int
) -> tuple[list[int], list[int], list[float]]:
    """Matrix on the symmetric states |J = N/2, m>, n = m + J."""
    _, p, k, q = word
    top = dimension - 1

    def climb(n: int, steps: int) -> float:
        """Product of sqrt((J - m)(J + m + 1)) over upward steps from n."""
        product = 1.0
        for step in range(n, n + steps):
            product *= ((top - step) * (step + 1)) ** 0.5
        return product

    columns = [n for n in range(q, dimension) if n - q + p < dimension]
    rows = [n - q + p for n in columns]
    values = [
        climb(n - q, q) * (n - q - top / 2) ** k * climb(n - q, p) for n in columns
    ]
    return rows, columns, values


def _ensemble_letter(entries: dict[Word, complex]) -> Callable[..., Combination]:
    def letter(size: Any, ring: Any) -> Combination:
        return {
            word: (
                ring.imaginary * ring.number(Fraction(value.imag))
                if value.imag
                else ring.number(Fraction(value.real))
            )
            for word, value in entries.items()
        }

    return letter


ensemble = ModeKind(
    name="ensemble",
    letters={
        "Jx": _ensemble_letter({("J", 1, 0, 0): 0.5, ("J", 0, 0, 1): 0.5}),
        "Jy": _ensemble_letter({("J", 1, 0, 0): -0.5j, ("J", 0, 0, 1): 0.5j}),
        "Jz": _ensemble_letter({("J", 0, 1, 0): 1.0}),
        "Jplus": _ensemble_letter({("J", 1, 0, 0): 1.0}),
        "Jminus": _ensemble_letter({("J", 0, 0, 1): 1.0}),
    },
    bare="",
    times=_ensemble_times,
    adjoint=lambda u, size, ring: {("J", u[3], u[2], u[1]): 1},
    dimension=lambda size: int(size) + 1,
    first=lambda size: 0,
    element=_ensemble_element,
    text=lambda w, label: " ".join(
        f"J{mark}({label}){power(k)}" for mark, k in zip("⁺ᶻ⁻", w[1:], strict=True) if k
    ),
)


def power(k: int) -> str:
    """An exponent in superscripts; nothing for 1."""
    return "" if k == 1 else str(k).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
