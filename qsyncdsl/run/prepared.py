"""Problems with their solvers: derived once for each structure that a line meets, kept while they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.algebra.build import space_of
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model
from qsyncdsl.problem import Lowered
from qsyncdsl.run.derived import Derived, keep, known
from qsyncdsl.run.frames import center_value
from qsyncdsl.run.line_options import LineOptions
from qsyncdsl.run.methods.entry import Method
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.structure import Structure

if TYPE_CHECKING:
    from qsyncdsl.algebra.frames import Frame


@dataclass(frozen=True)
class Prepared:
    """A problem, its solver, and the matrices that measures have asked for.

    Attributes:
        framed: The modes whose levels are displaced.
        starts: Initial states that depend on no parameter.
    """

    derived: Derived
    solver: Any
    space: Space
    framed: tuple[int, ...] = ()
    matrices: dict[Any, Any] = field(default_factory=dict)
    starts: dict[Any, Any] = field(default_factory=dict)

    @property
    def lowered(self) -> Lowered:
        """The problem."""
        return self.derived.lowered

    def values(self, environment: Environment, frame: Frame | None) -> tuple[Any, ...]:
        """The parameters of the problem at a point, the centers of its frame among them."""
        return tuple(
            center_value(frame, index[0])
            if frame is not None and index and name == "center of"
            else _value(environment, name, index)
            for name, index in self.lowered.parameters
        )


class Problems:
    """The problems of one line.

    Everything in them only depends on sizes, cutoffs and structure.
    """

    def __init__(
        self, plan: Plan, line: Line, method: Method, options: LineOptions
    ) -> None:
        self.plan, self.line, self.method, self.options = plan, line, method, options
        self._known: list[Prepared] = []

    def at(self, environment: Environment, framed: tuple[int, ...] = ()) -> Prepared:
        """The problem of a point, with its solver.

        Args:
            framed: The modes whose levels are displaced.

        Raises:
            ModelError: E3xx, E4xx.
        """
        for prepared in self._known:
            same = prepared.framed == framed
            if same and prepared.derived.structure.fits(environment):
                return prepared
        model = self.plan.model
        options = self.options.at(environment)
        _refuse_variables(model, self.line, self.method)
        _refuse_kicks(model, self.line, self.method)
        derived = self._derive(environment, options, framed)
        solver = self.method.solver(derived.lowered.problem, options)
        space, _ = space_of(model, environment, NUMERIC)
        prepared = Prepared(derived, solver, space, framed)
        # Sweeps over sizes would keep every system; a few are enough for neighbors.
        self._known = [prepared, *self._known[:3]]
        return prepared

    def forget(self) -> None:
        """Give free what solvers keep from point to point, such as factors; it can be made again."""
        for prepared in self._known:
            if hasattr(prepared.solver, "forget"):
                prepared.solver.forget()

    def _derive(
        self,
        environment: Environment,
        options: Mapping[str, Any],
        framed: tuple[int, ...],
    ) -> Derived:
        """The problem at a point: one that is kept, or derived now and kept."""
        model = self.plan.model
        address = self._address(options, framed)
        found = known(address, environment)
        if found is None:
            system = self.method.build(model, environment)
            if framed:
                from qsyncdsl.algebra.displaced import in_frame

                system = in_frame(system, framed)
            lowered = self.method.lower(system, model.title, options)
            structure = Structure.of(system, model)
            found = Derived(lowered, system.positions, structure)
            keep(address, found)
        return found

    def _address(self, options: Mapping[str, Any], framed: tuple[int, ...]) -> str:
        """Where a problem is kept; that of the text of the line and of its options here."""
        from qsyncdsl.run.store.address import Addresses, digest

        base = Addresses(self.plan, self.line).realizations
        chosen = sorted((name, repr(value)) for name, value in options.items())
        title = self.plan.model.title
        return digest("problem", base, title, chosen, *([framed] if framed else []))


def _value(environment: Environment, name: str, index: tuple[int, ...] | None) -> Any:
    """A parameter, or all its values where the index is open."""
    parameter = environment.model.parameters[name]
    if index is not None:
        return environment.value(parameter, index)
    sites = environment.sites(parameter.index)
    return np.array([environment.value(parameter, site) for site in sites])


def _refuse_variables(model: Model, line: Line, method: Method) -> None:
    """E404: a density matrix does not contain classical variables."""
    if not model.variables or method.variables:
        return
    variable = next(iter(model.variables.values()))
    raise ModelError(
        [
            Diagnostic(
                "E404",
                f"'{line.method}' does not solve classical variables",
                variable.span,
                "a classical variable",
                help="solve by 'classical' or 'langevin'",
            )
        ]
    )


def _refuse_kicks(model: Model, line: Line, method: Method) -> None:
    """E443: most methods do not know kicks; leaving them out would answer another question."""
    if not model.kicks or method.kicks:
        return
    raise ModelError(
        [
            Diagnostic(
                "E443",
                f"'{line.method}' does not apply kicks",
                model.kicks[0].span,
                "a kick",
                help="solve by 'floquet', 'evolve', 'trajectories', 'classical' or 'langevin'",
            )
        ]
    )
