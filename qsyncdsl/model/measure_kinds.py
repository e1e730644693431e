"""Kinds of measures: each argument is held against what its word asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qsyncdsl.diagnostics import ModelError
from qsyncdsl.model import faults
from qsyncdsl.model.kinds import CONDITION, NUMBER, UNKNOWN, VALUE, Bindings, Kind
from qsyncdsl.model.signature import bind
from qsyncdsl.model.types import Scope
from qsyncdsl.registry import Argument, measures
from qsyncdsl.syntax import tree

if TYPE_CHECKING:
    from qsyncdsl.model.inference import Inference


def measure_kind(
    inference: Inference,
    node: tree.Call,
    name: tree.Name,
    scope: Scope,
    bindings: Bindings,
) -> Kind:
    """A measure of the registry."""
    if not inference.measuring:
        inference.report(
            faults.wrong_kind(
                name, f"'{name.written}'", "used in an experiment", "a measure"
            )
        )
        return UNKNOWN
    word = measures[name.key]
    try:
        given = bind(word, node.arguments, node)
    except ModelError as fault:
        inference.report(fault.diagnostics[0])
        return UNKNOWN
    arguments = {argument.name: argument for argument in word.arguments}
    for key, value in given.items():
        for item in value if isinstance(value, tuple) else (value,):
            _argument(inference, arguments[key], item, scope, bindings)
    return {
        "distribution": VALUE,
        "map": VALUE,
        "list": Kind("list", items=(NUMBER,)),
        "condition": CONDITION,
    }.get(word.gives, NUMBER)


def _argument(
    inference: Inference,
    argument: Argument,
    node: tree.Expr,
    scope: Scope,
    bindings: Bindings,
) -> None:
    """Hold one argument against its kind."""
    if argument.kind == "word":
        if getattr(node, "key", "") not in argument.words:
            inference.report(
                faults.unknown_word(node, node.span.text, argument.name, argument.words)
            )
        return
    if argument.kind == "state":
        return
    kind = inference.of(node, scope, bindings)
    if argument.kind == "mode" and kind.name not in ("mode", "unknown"):
        inference.report(
            faults.wrong_kind(node, f"'{argument.name}'", "a mode", f"a {kind.name}")
        )
    elif (
        argument.kind in ("mode", "subsystem")
        and kind.name == "mode"
        and kind.entity is not None
        and kind.indices < len(kind.entity.index)
    ):
        several = argument.kind == "subsystem"
        inference.report(faults.missing_index(node, kind.entity, several))
    elif argument.kind == "subsystem" and kind.name not in (
        "mode",
        "list",
        "unknown",
    ):
        inference.report(
            faults.wrong_kind(
                node,
                f"'{argument.name}'",
                "a mode or a list of modes",
                f"a {kind.name}",
            )
        )
    elif argument.kind in ("integer", "real", "number") and kind.name in (
        "operator",
        "mode",
    ):
        inference.report(faults.operator_for_number(node, f"'{argument.name}'"))
