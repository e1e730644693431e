"""Arithmetic of plain numbers, and the functions that a file may use on them."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from qsyncdsl.model.values import Nodes

CONSTANTS = MappingProxyType({"i": 1j, "pi": math.pi, "inf": math.inf})


def divide(x: Any, y: Any) -> Any:
    """x/y, never truncated; whole quotients of integers stay integers.

    >>> divide(6, 3), divide(7, 2)
    (2, 3.5)
    """
    if isinstance(x, int) and isinstance(y, int) and y != 0 and x % y == 0:
        return x // y
    return x / y


def power(x: Any, y: Any) -> Any:
    """x^y; integers stay integers, roots of negative numbers are complex."""
    if isinstance(x, int) and isinstance(y, int):
        if y >= 0 and y * x.bit_length() > 4096:
            return float(x) ** y
        return x**y
    return x**y


def integer(value: Any) -> int | None:
    """A whole number as an int, None for anything else.

    >>> integer(4.0), integer(2.5), integer(1 + 0j)
    (4, None, 1)
    """
    if isinstance(value, (bool, tuple | str)):
        return None
    try:
        number = complex(value)
    except (TypeError, ValueError, OverflowError):
        return value if isinstance(value, int) else None
    if (
        number.imag
        or not math.isfinite(number.real)
        or number.real != round(number.real)
    ):
        return None
    return int(value) if isinstance(value, int) else round(number.real)


def simplify(value: Any) -> Any:
    """A complex number without imaginary part as a float."""
    return value.real if isinstance(value, complex) and value.imag == 0 else value


def show(value: Any) -> str:
    """A number as a person would write it.

    >>> show(0.1 + 0.2), show(2j), show(1 - 0.5j)
    ('0.3', '2*i', '1 - 0.5*i')
    """
    if isinstance(value, tuple):
        return "[" + ", ".join(show(item) for item in value) + "]"
    if not isinstance(value, int | float | complex) or isinstance(value, bool):
        return "this"
    number = complex(value)
    real, imaginary = f"{number.real:.10g}", f"{abs(number.imag):.10g}*i"
    if number.imag == 0:
        return real
    if number.real == 0:
        return ("-" if number.imag < 0 else "") + imaginary
    return f"{real} {'-' if number.imag < 0 else '+'} {imaginary}"


def linspace(start: float, stop: float, count: int) -> tuple[float, ...]:
    """`count` equally spaced numbers, both ends exact."""
    count = _count(count)
    if count == 1:
        return (float(start),)
    step = (stop - start) / (count - 1)
    return (*(start + k * step for k in range(count - 1)), stop + 0.0)


def logspace(start: float, stop: float, count: int) -> tuple[float, ...]:
    """`count` numbers in equal ratios between two positive ends.

    >>> logspace(0.01, 1, 3)
    (0.01, 0.1, 1)
    """
    if start <= 0 or stop <= 0:
        raise ValueError("both ends must be positive")
    count = _count(count)
    inner = linspace(math.log(start), math.log(stop), count)[1:-1]
    return (start, *(float(f"{math.exp(x):.15g}") for x in inner), stop)[:count]


def gauss_legendre(start: float, stop: float, nodes: int) -> Nodes:
    """Nodes and weights of Gauss-Legendre quadrature on [start, stop]."""
    from numpy.polynomial.legendre import leggauss

    x, weights = leggauss(_count(nodes))
    half, middle = (stop - start) / 2, (stop + start) / 2
    return Nodes(
        tuple(float(middle + half * value) for value in x),
        tuple(float(half * value) for value in weights),
    )


def _count(value: Any) -> int:
    """A number of points: a positive integer of reasonable size."""
    count = integer(value)
    if count is None or not 1 <= count <= 10_000_000:
        raise ValueError(
            f"the number of points must be a positive integer, not {show(value)}"
        )
    return count


def _either(
    real: Callable[[float], float], whole: Callable[[complex], complex]
) -> Callable[[Any], Any]:
    """A function that stays real where it can."""

    def apply(x: Any) -> Any:
        if isinstance(x, complex):
            return simplify(whole(x))
        try:
            return real(x)
        except ValueError:
            return simplify(whole(x))

    return apply


def _listed(*values: Any) -> tuple[Any, ...]:
    """The arguments of min and max: several numbers or one list."""
    items = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    if any(isinstance(item, complex) for item in items):
        raise ValueError("complex numbers have no order")
    return items


def _map(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same, element by element on lists."""

    def apply(x: Any) -> Any:
        return tuple(apply(item) for item in x) if isinstance(x, tuple) else function(x)

    return apply


def laguerre(n: Any, alpha: Any, x: Any) -> Any:
    r"""Associated Laguerre polynomial $L_n^{(\alpha)}(x)$, n = 0, 1, 2, ...

    By the recurrence $(k + 1)L_{k+1} = (2k + 1 + \alpha - x)L_k - (k + \alpha)L_{k-1}$.

    >>> laguerre(2, 1, 0.5)
    1.625
    """
    count = integer(n)
    if count is None or count < 0:
        raise ValueError("the order of a Laguerre polynomial is 0, 1, 2, ...")
    before, here = 0.0, 1.0
    for k in range(count):
        before, here = (
            here,
            ((2 * k + 1 + alpha - x) * here - (k + alpha) * before) / (k + 1),
        )
    return here


FUNCTIONS: MappingProxyType[str, Callable[..., Any]] = MappingProxyType(
    {
        "sqrt": _map(_either(math.sqrt, cmath.sqrt)),
        "exp": _map(_either(math.exp, cmath.exp)),
        "log": _map(_either(math.log, cmath.log)),
        "sin": _map(_either(math.sin, cmath.sin)),
        "cos": _map(_either(math.cos, cmath.cos)),
        "tan": _map(_either(math.tan, cmath.tan)),
        "asin": _map(_either(math.asin, cmath.asin)),
        "acos": _map(_either(math.acos, cmath.acos)),
        "atan": _map(_either(math.atan, cmath.atan)),
        "sinh": _map(_either(math.sinh, cmath.sinh)),
        "cosh": _map(_either(math.cosh, cmath.cosh)),
        "tanh": _map(_either(math.tanh, cmath.tanh)),
        "abs": _map(abs),
        "arg": _map(lambda x: cmath.phase(x)),
        "real": _map(lambda x: complex(x).real),
        "imag": _map(lambda x: complex(x).imag),
        "conj": _map(lambda x: simplify(complex(x).conjugate())),
        "floor": _map(math.floor),
        "ceil": _map(math.ceil),
        "round": _map(round),
        "sign": _map(lambda x: (x > 0) - (x < 0)),
        "step": _map(lambda x: 0 if x < 0 else 1),
        "laguerre": laguerre,
        "min": lambda *values: min(_listed(*values)),
        "max": lambda *values: max(_listed(*values)),
        "linspace": linspace,
        "logspace": logspace,
        "integral": gauss_legendre,
    }
)
