"""When a system that was built at one point is that of another: same sizes, levels and real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model


@dataclass(frozen=True, slots=True)
class Structure:
    """What the structure of a system depends on, by name.

    Attributes:
        values: Parameters with the values that they had.
        levels: Bosons with their numbers of levels.
        real: Parameters that were taken to be real.
    """

    values: tuple[tuple[str, tuple[int, ...], Any], ...]
    levels: tuple[tuple[str, int | None], ...]
    real: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, system: Any, model: Model) -> Structure:
        """That of a system."""
        values = tuple(
            (name, index, value)
            for (name, index), value in system.structure.items()
            if not name.startswith("levels of ")
        )
        levels = {
            name: (name, system.space.modes[position].size)
            for (name, _), position in system.positions.items()
            if name in model.modes and model.modes[name].kind == "boson"
        }
        real = tuple(
            (name, index)
            for (name, index), symbol in system.symbols.items()
            if symbol.is_real and all(isinstance(k, int) for k in index)
        )
        return cls(values, tuple(levels.values()), real)

    def fits(self, environment: Environment) -> bool:
        """Whether the system has the same structure at another point."""
        value, model = environment.value, environment.model
        parameters, modes = model.parameters, model.modes
        return (
            all(value(parameters[n], index) == known for n, index, known in self.values)
            and all(environment.levels(modes[name]) == n for name, n in self.levels)
            and not any(
                isinstance(x := value(parameters[n], index), complex) and x.imag
                for n, index in self.real
            )
        )
