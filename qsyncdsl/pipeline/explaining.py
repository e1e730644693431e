"""A model explained: its operators, symmetries and frame, or the equations of one method."""

from __future__ import annotations

import re
from math import prod
from textwrap import wrap
from typing import Any

from qsyncdsl.diagnostics import ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model
from qsyncdsl.pipeline.models import find, load_source
from qsyncdsl.pipeline.request import Request
from qsyncdsl.registry import methods
from qsyncdsl.source import Source
from qsyncdsl.syntax.load import read


def describe(
    name: str, request: Request, form: str = "text", solve: str | None = None
) -> str:
    """A model explained: as text, as LaTeX, or as the code that was generated from it.

    Args:
        solve: A method with options, `langevin(ordering = naive)`: its equations.

    Raises:
        ModelError: E1xx to E4xx.
    """
    if solve is not None:
        return _describe_method(name, request, form, solve)
    from qsyncdsl.algebra.build import build
    from qsyncdsl.report import explain

    model, _ = load_source(read(find(name)))
    options = request.options(model)
    cases = [model.cases[c].overrides for c in request.cases if c in model.cases]
    environment = Environment(model, [*cases, options.sets])
    system = build(model, environment)
    typed_only = bool(model.equations) and not system.space.modes
    if typed_only and form != "text":
        return _describe_method(name, request, form, "classical(time = 1)")
    if form == "latex":
        return explain.latex(system)
    if form == "code":
        from qsyncdsl.lower.lindblad import lindblad

        return str(lindblad(system, model.title).problem.coefficients.source)
    typed = ""
    if typed_only:
        typed = _describe_method(name, request, form, "classical(time = 1)")
    symmetry = _reduction(model, environment, system)
    frame = _frame(model, environment, system)
    return explain.explain(model, system, symmetry, typed, frame)


def _describe_method(name: str, request: Request, form: str, solve: str) -> str:
    """The equations of one method."""
    from qsyncdsl.lower.moment_text import with_equations
    from qsyncdsl.report import explain
    from qsyncdsl.run.plan import make_plan
    from qsyncdsl.run.session import Session

    text = f"experiment explain {{\n  solve {_for_some_time(solve)}\n}}\n"
    extra = Source("<command line>", text)
    model, _ = load_source(read(find(name)), extra)
    plan = make_plan(model, model.experiments["explain"], request.options(model))
    if not plan.lines:
        return "".join(f"{label}: {reason}\n" for label, reason in plan.skipped.items())
    lowered = Session(plan, plan.lines[0]).prepare(plan.layers(plan.cases[0]))
    problem = with_equations(lowered.problem)
    if form == "code":
        return str(getattr(problem, "source", "") or problem.coefficients.source)
    if not hasattr(problem, "equations"):
        return describe(name, request, form)
    if form == "latex" and not hasattr(problem, "latex"):
        return describe(name, request, form)
    if form == "latex":
        return str(problem.latex)
    return explain.field_equations(problem, plan.lines[0].method)


def _for_some_time(solve: str) -> str:
    """A method with a time, where it needs one and has none: equations do not depend on it.

    >>> _for_some_time("langevin(ordering = naive)"), _for_some_time("cumulants")
    ('langevin(time = 1, ordering = naive)', 'cumulants')
    """
    name, bracket, rest = solve.partition("(")
    word = methods.get(name.strip())
    given = set(re.findall(r"(\w+)\s*=", rest))
    if word is None or not word.one_of or given & set(word.one_of):
        return solve
    rest = rest if bracket else ")"
    comma = "" if rest.lstrip().startswith(")") else ", "
    return f"{name.strip()}(time = 1{comma}{rest}"


def _frame(model: Model, environment: Environment, system: Any) -> str:
    """The field about which levels that are open are kept; empty where that is the vacuum."""
    bosons = [m for m in system.space.modes if m.kind.name == "boson"]
    if not any(mode.size is None for mode in bosons) or model.kicks:
        return ""
    from qsyncdsl.algebra.build import numeric
    from qsyncdsl.algebra.frames import NoFieldError, stationary_frame
    from qsyncdsl.report.terminal import number_text

    try:
        frame = stationary_frame(numeric(model, environment), False)
    except (NoFieldError, ModelError, TypeError, ValueError, ArithmeticError):
        return ""
    if frame is None or not frame.sole:
        return ""
    modes = system.space.modes
    named = {modes[k].label: c for k, c in frame.centers.items() if not modes[k].size}
    return ", ".join(f"{label} = {number_text(c)}" for label, c in named.items())


def _reduction(model: Model, environment: Environment, system: Any) -> str:
    """The weak symmetries, and what they save at the declared values of the parameters."""
    from qsyncdsl.lower.lindblad import lindblad
    from qsyncdsl.solve.sizes import MOST_STATES, sizes

    text = _symmetry_text(system)
    real = [mode for mode in system.space.modes if mode.ensemble is None]
    if not real:
        return text
    sizes_known = all(mode.size is not None for mode in real)
    if not sizes_known or prod(mode.dimension for mode in real) > MOST_STATES:
        return text
    try:
        lowered = lindblad(system, model.title)
    except ModelError:
        return text
    values = tuple(
        environment.value(model.parameters[name], index)
        for name, index in lowered.parameters
    )
    found = [
        line
        for line in sizes(lowered.problem, values)
        if not line.endswith(f": {text}")
    ]
    shown = [
        part
        for line in found
        for part in wrap(
            line,
            80,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    ]
    return "\n".join([text, *shown])


def _symmetry_text(system: Any) -> str:
    """The weak symmetries that hold whatever the parameters are."""
    from qsyncdsl.algebra.symmetry import operator_shifts, weak_symmetry

    kept = [k for k, mode in enumerate(system.space.modes) if mode.ensemble is None]
    vectors = operator_shifts(system, kept)
    if vectors is None:
        return "not looked for: an operator is a function without definite steps"
    labels = [system.space.modes[k].label for k in kept]
    return weak_symmetry(vectors, len(kept)).describe(labels)
