r"""Sums and products of coefficients multiplied out; functions are left as they are written.

SymPy would multiply out what stands inside functions too, and make of a pulse around a late time

$$ e^{-(50 t - 1500)^2} = e^{-2500 t^2}\,e^{150000 t}\,e^{-2250000} , $$

whose factors no floating-point number holds, or of a high power of a small difference a sum that cancels.
"""

from __future__ import annotations

from typing import Any

# Powers of sums up to which they are multiplied out.
_POWER = 2


def expanded(value: Any) -> Any:
    """A sum of products of symbols, functions and high powers of sums.

    >>> import sympy
    >>> a, t = sympy.symbols("a t")
    >>> expanded((1 + a) * sympy.exp(-((t - 30) ** 2)))
    a*exp(-(t - 30)**2) + exp(-(t - 30)**2)
    """
    import sympy

    closed = [x for x in _closed(value) if x.free_symbols]
    if not closed:
        return sympy.expand(value)
    names = {x: sympy.Dummy(commutative=True, **_signs(x)) for x in closed}
    hidden = value.xreplace(names)
    back = {name: x for x, name in names.items()}
    return sympy.expand(hidden).xreplace(back)


def _closed(value: Any) -> list[Any]:
    """The outermost functions and high powers of sums, each once."""
    import sympy

    if isinstance(value, sympy.Function):
        return [value]
    if value.is_Pow and value.base.is_Add and value.exp.is_Integer:
        if value.exp > _POWER:
            return [value]
    elif value.is_Pow and value.exp.free_symbols:
        return [value]
    found: dict[Any, None] = {}
    for part in value.args:
        found |= dict.fromkeys(_closed(part))
    return list(found)


def _signs(value: Any) -> dict[str, bool]:
    """What is known of a value: that it is real, or positive."""
    if value.is_positive:
        return {"positive": True}
    return {"real": True} if value.is_real else {}
