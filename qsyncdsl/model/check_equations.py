"""Checking typed equations of motion and maps: each variable has one, and all are of one sort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.model import faults
from qsyncdsl.model.inference import Inference
from qsyncdsl.model.kinds import Kind
from qsyncdsl.model.types import Equation, Model, Scope, Variable
from qsyncdsl.syntax import tree

Binders = Callable[[tree.Binders, Scope], dict[str, Kind]]


def check_equations(
    model: Model,
    kinds: Inference,
    report: Callable[[Diagnostic], None],
    binders: Binders,
) -> None:
    """Hold the equations against the variables.

    Args:
        binders: The kinds of the names that `for ...` binds.
    """
    given: dict[str, Equation] = {}
    inner = replace(kinds, means=True)
    for equation in model.equations:
        variable = _variable(equation, kinds, report)
        if variable is not None:
            first = given.setdefault(variable.name, equation)
            # equations of single sites are held against one another when they are built
            if first is not equation and not variable.index:
                name = equation.place.name
                report(faults.duplicate(name, first.place.span, "equation for"))
        bindings = (
            {}
            if equation.binders is None
            else binders(equation.binders, equation.scope)
        )
        bindings |= _bound(equation, kinds)
        _places(equation, variable, kinds, bindings, report)
        what = "the right side of an equation"
        inner.number(equation.value, equation.scope, bindings, what)
    for variable in model.variables.values():
        if variable.name not in given:
            node = tree.Name(variable.span, variable.written, variable.written)
            reason = "has no equation"
            report(faults.equation_for(node, variable.written, reason))
    _one_sort(model, report)


def _variable(
    equation: Equation, kinds: Inference, report: Callable[[Diagnostic], None]
) -> Variable | None:
    """The variable of an equation."""
    name = equation.place.name
    entity = equation.scope.find(name.key)
    if not isinstance(entity, Variable):
        report(faults.equation_for(name, name.written, "is not a variable"))
        return None
    kinds.used.add(entity.name)
    return entity


def _bound(equation: Equation, kinds: Inference) -> dict[str, Kind]:
    """Names that the place itself binds: `d/dt phi[j in sites]`."""
    found: dict[str, Kind] = {}
    for argument in equation.place.arguments:
        if isinstance(argument, tree.Each):
            pattern, domain = argument.pattern, argument.domain
            found |= kinds.bind(pattern, domain, equation.scope, found)
            if argument.condition is not None:
                kinds.condition(argument.condition, equation.scope, found)
    return found


def _places(
    equation: Equation,
    variable: Variable | None,
    kinds: Inference,
    bindings: dict[str, Kind],
    report: Callable[[Diagnostic], None],
) -> None:
    """The indices on the left side: as many as the variable has, all numbers."""
    arguments = equation.place.arguments
    for argument in arguments:
        if isinstance(argument, tree.Option):
            report(faults.wrong_kind(argument, "an index", "a number", "an option"))
        elif not isinstance(argument, tree.Each):
            kind = kinds.of(argument, equation.scope, bindings)
            if kind.name not in ("number", "unknown", "lattice", "set"):
                report(faults.wrong_kind(argument, "an index", "a number", kind.name))
    if variable is None:
        return
    wanted = len(variable.index) - variable.inherited
    if wanted and not arguments:
        report(faults.missing_index(equation.place, variable))
    elif arguments and not wanted:
        report(faults.no_index(equation.place, f"'{variable.written}'"))


def _one_sort(model: Model, report: Callable[[Diagnostic], None]) -> None:
    """E251: maps and flows do not go together, nor a map and modes that evolve in time."""
    maps = [e for e in model.equations if e.discrete]
    flows = [e for e in model.equations if not e.discrete]
    if maps and flows:
        report(faults.mixed(maps[0].span, "'d/dt' and a map in one model"))
    elif maps and (model.hamiltonian or model.dissipators):
        report(faults.mixed(maps[0].span, "modes evolve in time, a map by steps"))
