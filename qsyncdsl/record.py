"""What immutable classes of data have in common.

Records are frozen dataclasses with slots. `dataclasses` would write and compile six functions for each of
the many classes whenever the program starts; here all classes share them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class derived from `Record` one: a frozen dataclass, compared by what is not marked `compare = False`."""
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    found = fields(made)
    compared = [f.name for f in found if f.compare]
    made._names = tuple(f.name for f in found)
    made._defaults = {f.name: f.default for f in found if f.default is not MISSING}
    made._content = attrgetter(*compared) if compared else _nothing
    made._shown = tuple(f.name for f in found if f.repr)
    return made  # type: ignore[no-any-return]


def _nothing(_: Any) -> tuple[()]:
    return ()


class Record:
    """Base of every record."""

    __slots__ = ()

    _names: ClassVar[tuple[str, ...]]
    _defaults: ClassVar[dict[str, Any]]
    _content: ClassVar[Callable[[Any], Any]]
    _shown: ClassVar[tuple[str, ...]]

    def __init__(self, *values: Any, **named: Any) -> None:
        put = object.__setattr__
        if not named and len(values) == len(self._names):
            for name, value in zip(self._names, values, strict=True):
                put(self, name, value)
            return
        given = dict(zip(self._names, values, strict=False)) | named
        if len(given) != len(values) + len(named) or not given.keys() <= set(
            self._names
        ):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self._names)}")
        for name in self._names:
            value = given.get(name, MISSING)
            if value is MISSING:
                if name not in self._defaults:
                    raise TypeError(f"{type(self).__name__} needs {name}")
                value = self._defaults[name]
            put(self, name, value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field '{name}'")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field '{name}'")

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        content = type(self)._content
        return bool(content(self) == content(other))

    def __hash__(self) -> int:
        return hash(type(self)._content(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in self._names)
