"""When a system that was built at one point is that of another: same sizes, levels and real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model


@dataclass(frozen=True)
class Structure:
    """What the structure of a system depends on.

    Attributes:
        values: Parameters with the values that they had.
        levels: Bosons with their numbers of levels.
        real: Parameters that were taken to be real.
    """

    values: tuple[tuple[Any, tuple[int, ...], Any], ...]
    levels: tuple[tuple[Any, int | None], ...]
    real: tuple[tuple[Any, tuple[int, ...]], ...]

    @classmethod
    def of(cls, system: Any, model: Model) -> Structure:
        """That of a system."""
        parameters = model.parameters
        values = tuple(
            (parameters[name], index, value)
            for (name, index), value in system.structure.items()
            if not name.startswith("levels of ")
        )
        levels = {
            name: (model.modes[name], system.space.modes[position].size)
            for (name, _), position in system.positions.items()
            if name in model.modes and model.modes[name].kind == "boson"
        }
        real = tuple(
            (parameters[name], index)
            for (name, index), symbol in system.symbols.items()
            if symbol.is_real and all(isinstance(k, int) for k in index)
        )
        return cls(values, tuple(levels.values()), real)

    def fits(self, environment: Environment) -> bool:
        """Whether the system has the same structure at another point."""
        value = environment.value
        return (
            all(value(p, index) == known for p, index, known in self.values)
            and all(environment.levels(mode) == n for mode, n in self.levels)
            and not any(
                isinstance(x := value(p, index), complex) and x.imag
                for p, index in self.real
            )
        )
