"""The faults of meaning: one function a code."""

from __future__ import annotations

from collections.abc import Iterable

from qsyncdsl.diagnostics import Diagnostic, Note, did_you_mean
from qsyncdsl.model.types import Entity
from qsyncdsl.source import Span
from qsyncdsl.syntax import tree


def no_modes(span: Span) -> Diagnostic:
    """E200: nothing to solve."""
    return Diagnostic(
        "E200",
        "the model declares no mode and no variable",
        span,
        help="write, for instance, 'mode a : boson(levels = 10)'",
    )


def reserved(name: tree.Name) -> Diagnostic:
    """E201: a reserved name is bound."""
    meaning = {
        "i": "the imaginary unit",
        "t": "time",
        "pi": "3.14159...",
        "inf": "infinity",
    }
    return Diagnostic(
        "E201",
        f"'{name.written}' is reserved",
        name.span,
        f"always means {meaning[name.key]}",
        help="choose another name",
    )


def duplicate(name: tree.Name, first: Span, what: str = "name") -> Diagnostic:
    """E202: declared twice."""
    return Diagnostic(
        "E202",
        f"the {what} '{name.written}' is declared twice",
        name.span,
        notes=(Note("first declared here", first),),
        help="give one of them a label: 'solve METHOD(...) as NAME'"
        if what == "label"
        else "",
    )


def unknown_name(name: tree.Name, known: Iterable[str]) -> Diagnostic:
    """E203: a name that nothing declares."""
    listed = sorted(known)
    note = (
        (Note(f"declared here: {', '.join(listed)}"),) if 0 < len(listed) <= 12 else ()
    )
    return Diagnostic(
        "E203",
        f"unknown name '{name.written}'",
        name.span,
        "not declared",
        note,
        did_you_mean(name.key, listed),
    )


def hides(name: tree.Name, entity: Entity, what: str = "index") -> Diagnostic:
    """E204: an index or a measure hides a declared name."""
    return Diagnostic(
        "E204",
        f"the {what} '{name.written}' hides a declared name",
        name.span,
        f"also {'an' if what[0] in 'aeiou' else 'a'} {what} here",
        (Note("declared here", entity.span),),
        f"rename the {what}",
    )


def too_early(name: tree.Name, entity: Entity) -> Diagnostic:
    """E205: used above its declaration."""
    return Diagnostic(
        "E205",
        f"'{name.written}' is used before it is declared",
        name.span,
        notes=(Note("declared here", entity.span),),
        help="move the declaration up",
    )


def unknown_word(
    node: tree.Node, typed: str, what: str, known: Iterable[str]
) -> Diagnostic:
    """E206: a kind of mode, lattice, distribution, ... that does not exist."""
    message, listed = f"there is no {what} '{typed}'", sorted(known)
    there = f"there are {', '.join(listed)}"
    return _not_among("E206", message, node, typed, listed, there)


def operator_for_number(node: tree.Node, what: str) -> Diagnostic:
    """E207: an operator where a number must stand."""
    return Diagnostic("E207", f"{what} must be a number", node.span, "an operator")


def number_for_operator(node: tree.Node, what: str) -> Diagnostic:
    """E208: a number where an operator must stand."""
    return Diagnostic(
        "E208",
        f"{what} must be an operator",
        node.span,
        "a number",
        help="a constant changes nothing: leave it out",
    )


def adjoint_of_number(node: tree.Adjoint) -> Diagnostic:
    """E209: a' on a number."""
    return Diagnostic(
        "E209",
        "the adjoint of a number",
        node.span,
        "a number",
        help="write (a^2)' for the adjoint of a power, conj(x) for a number",
    )


def not_comparable(node: tree.Node) -> Diagnostic:
    """E210: operators have no order."""
    return Diagnostic(
        "E210",
        "operators cannot be compared",
        node.span,
        help="compare mean values: <a'*a>",
    )


def bad_exponent(node: tree.Node) -> Diagnostic:
    """E211: an operator as exponent."""
    return Diagnostic(
        "E211",
        "an exponent must be a number",
        node.span,
        "an operator",
        help="write exp(...) for the exponential of an operator",
    )


def division_by_operator(node: tree.Node) -> Diagnostic:
    """E212: division by an operator."""
    return Diagnostic(
        "E212",
        "division by an operator",
        node.span,
        "an operator",
        help="write x*(operator)^(-1)",
    )


def misplaced_mean(node: tree.Node) -> Diagnostic:
    """E213: <...> where there is no state."""
    return Diagnostic(
        "E213",
        "an expectation value can only be measured",
        node.span,
        "not allowed in the model itself",
        help="mean-field terms are derived: write the operator",
    )


def misplaced_hc(node: tree.Node) -> Diagnostic:
    """E214: h.c. where nothing stands to its left."""
    return Diagnostic(
        "E214",
        "'h.c.' must follow '+' after an operator",
        node.span,
        help="write 'x + h.c.'",
    )


def unknown_letter(
    name: tree.Name, mode: Entity, kind: str, known: Iterable[str]
) -> Diagnostic:
    """E215: an operator that this kind of mode does not have."""
    listed = list(known)
    have = f"it has {', '.join(listed)}" if listed else "write |n><m| of it"
    return Diagnostic(
        "E215",
        f"a {kind} has no operator '{name.written}'",
        name.span,
        notes=(Note(f"'{mode.written}' is declared here", mode.span),),
        help=did_you_mean(name.key, listed) or have,
    )


def bare_mode(
    node: tree.Node, written: str, kind: str, known: Iterable[str]
) -> Diagnostic:
    """E216: a mode that is no operator by itself."""
    options = ", ".join(f"{written}.{letter}" for letter in list(known)[:6])
    return Diagnostic(
        "E216",
        f"'{written}' alone is not an operator",
        node.span,
        f"a {kind}",
        help=f"write one of {options}" if options else "write |n><m| of it",
    )


def missing_index(node: tree.Node, entity: Entity, several: bool = False) -> Diagnostic:
    """E217: a mode or parameter on a lattice without a site; `several` may stand there."""
    domains = ", ".join(index.domain.span.text for index in entity.index)
    help_ = f"write {entity.written}[j] with 'for j in ...'"
    if several:
        help_ = f"write {entity.written}[{domains}] for all of them"
    return Diagnostic(
        "E217",
        f"'{entity.written}' needs an index",
        node.span,
        "one on each site",
        (Note("declared here", entity.span),),
        help_,
    )


def no_index(node: tree.Node, what: str) -> Diagnostic:
    """E218: an index on something that has none."""
    return Diagnostic("E218", f"{what} takes no index", node.span)


def not_callable(node: tree.Node, what: str) -> Diagnostic:
    """E219: a call of something that is no function."""
    return Diagnostic("E219", f"{what} is not a function", node.span)


def not_finite(node: tree.Node) -> Diagnostic:
    """E220: a binder over something that is no finite set."""
    return Diagnostic(
        "E220",
        "an index runs through a finite set",
        node.span,
        "not a set",
        help="write 1..N, a lattice, its .edges, or a list [x, y]",
    )


def without_index(node: tree.Node, names: Iterable[str]) -> Diagnostic:
    """E221: a summand that does not depend on the index."""
    listed = " or ".join(f"'{name}'" for name in names)
    return Diagnostic(
        "E221",
        f"this term does not contain the index {listed}",
        node.span,
        "would be counted once for every value",
        help="write it in a statement of its own",
    )


def without_times(method: tree.Name) -> Diagnostic:
    """E254: a method that integrates in time and is not told how long."""
    return Diagnostic(
        "E254",
        f"how long shall '{method.written}' run?",
        method.span,
        help=f"write {method.key}(time = T, window = [T0, T]) for means over a window,"
        f" or {method.key}(times = linspace(0, T, n)) for values in time",
    )


def wrong_kind(node: tree.Node, what: str, wanted: str, got: str) -> Diagnostic:
    """E222: another kind of thing is expected."""
    return Diagnostic("E222", f"{what} must be {wanted}", node.span, got)


def statement_not_allowed(node: tree.Node, what: str, where: str) -> Diagnostic:
    """E223: a statement in a place where it cannot stand."""
    return Diagnostic("E223", f"{what} cannot stand in {where}", node.span)


def unknown_component(path: tree.Path, known: Iterable[str]) -> Diagnostic:
    """E235: `use` of something that is no component."""
    typed, listed = ".".join(name.written for name in path.names), sorted(known)
    there = f"there are {', '.join(listed)}" if listed else ""
    return _not_among(
        "E235",
        f"there is no component '{typed}'",
        path,
        typed,
        listed,
        there or "declare it above, or import it",
    )


def unknown_argument(
    name: tree.Name, component: Entity, known: Iterable[str]
) -> Diagnostic:
    """E236: an argument that a component does not have."""
    return Diagnostic(
        "E236",
        f"'{component.written}' has no argument '{name.written}'",
        name.span,
        notes=(Note("declared here", component.span),),
        help=did_you_mean(name.key, known),
    )


def bad_import(node: tree.Node, reason: str, help: str = "") -> Diagnostic:
    """E237: an import that cannot be made."""
    return Diagnostic("E237", reason, node.span, help=help)


def recursion(node: tree.Node, what: str) -> Diagnostic:
    """E238: a component or a define that uses itself."""
    return Diagnostic("E238", f"{what} uses itself", node.span)


def unknown_parameter(name: tree.Name, known: Iterable[str]) -> Diagnostic:
    """E240: something is set or swept that is no parameter."""
    message, listed = f"'{name.written}' is not a parameter", sorted(known)
    there = f"parameters: {', '.join(listed[:16])}"
    return _not_among("E240", message, name, name.key, listed, there)


def not_swept(name: tree.Name, known: Iterable[str]) -> Diagnostic:
    """E255: a picture at a value of something that is not swept."""
    message, listed = f"results have no dimension '{name.written}'", sorted(known)
    there = f"there are {', '.join(listed)}"
    return _not_among("E255", message, name, name.key, listed, there)


def unknown_method(name: tree.Name, known: Iterable[str]) -> Diagnostic:
    """E241: a method that does not exist."""
    message, listed = f"there is no method '{name.written}'", list(known)
    there = f"methods: {', '.join(listed)}"
    return _not_among("E241", message, name, name.key, listed, there)


def no_realizations(until: tree.Until, method: tree.Name) -> Diagnostic:
    """E252: a stopping rule for a method that samples nothing."""
    return Diagnostic(
        "E252",
        f"'{method.written}' has no realizations to add",
        until.span,
        help="until is for 'trajectories' and 'langevin'",
    )


def bad_until(until: tree.Until, measures: Iterable[str]) -> Diagnostic:
    """E253: a stopping rule that is not about the error of a measure."""
    listed = list(measures)
    name = until.measure
    close = did_you_mean(name.key, listed) if name is not None else ""
    known = f"; measures: {', '.join(listed)}" if listed else ""
    return Diagnostic(
        "E253",
        "a run is stopped by the standard error of a measure of its experiment",
        until.span,
        help=close or f"until error(S) < 0.01{known}",
    )


def unknown_case(name: tree.Name, known: Iterable[str]) -> Diagnostic:
    """E242: a case that is not declared."""
    message, listed = f"there is no case '{name.written}'", list(known)
    there = f"cases: {', '.join(listed)}" if listed else "declare it: case NAME { ... }"
    return _not_among("E242", message, name, name.key, listed, there)


def swept_twice(name: tree.Name, first: Span) -> Diagnostic:
    """E243: two sweeps of one parameter."""
    return Diagnostic(
        "E243",
        f"'{name.written}' is swept twice",
        name.span,
        notes=(Note("first swept here", first),),
    )


def swept_grid(name: tree.Name, first: Span) -> Diagnostic:
    """E244: a grid that uses a swept parameter."""
    return Diagnostic(
        "E244",
        f"a grid cannot use '{name.written}', which is swept",
        name.span,
        notes=(Note("swept here", first),),
        help="sweep x and declare delta = x*N",
    )


def not_solved(node: tree.Node, typed: str, known: Iterable[str]) -> Diagnostic:
    """E246: a method or label that the experiment does not solve."""
    message, listed = f"'{typed}' is not solved in this experiment", list(known)
    there = f"solved: {', '.join(listed) or 'nothing'}"
    return _not_among("E246", message, node, typed, listed, there)


def not_an_interval(node: tree.Node) -> Diagnostic:
    """E247: `locate` without a range."""
    return Diagnostic("E247", "a range is written low..high", node.span)


def unknown_option(name: tree.Name, known: Iterable[str]) -> Diagnostic:
    """E248: an option of a plot that does not exist."""
    message, listed = f"a plot has no option '{name.written}'", sorted(known)
    there = f"options: {', '.join(listed)}"
    return _not_among("E248", message, name, name.key, listed, there)


def equation_for(node: tree.Node, written: str, reason: str) -> Diagnostic:
    """E250: an equation without its variable, or a variable without its equation."""
    return Diagnostic("E250", f"'{written}' {reason}", node.span)


def mixed(span: Span, reason: str) -> Diagnostic:
    """E251: a map beside a flow."""
    return Diagnostic(
        "E251",
        f"a map and a flow cannot be mixed: {reason}",
        span,
        "steps have no length in time",
        help="write all rules as 'map x -> f(x)', or all as 'equation d/dt x = f(x)'",
    )


def unused(entity: Entity, what: str) -> Diagnostic:
    """W260: declared and never used."""
    return Diagnostic(
        "W260", f"the {what} '{entity.written}' is never used", entity.span
    )


def _not_among(
    code: str, message: str, node: tree.Node, typed: str, known: list[str], there: str
) -> Diagnostic:
    """A word that is none of the known ones: with the nearest of them, or with what there is."""
    return Diagnostic(
        code, message, node.span, help=did_you_mean(typed, known) or there
    )
