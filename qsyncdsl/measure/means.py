"""Expectation values `<...>` of what was solved: of states, at times, along trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.gaussian import whole_run
from qsyncdsl.measure.rotors import turning
from qsyncdsl.measure.statistics import weighted
from qsyncdsl.measure.trajectories import jumping
from qsyncdsl.measure.values import Distribution, PhaseSpaceMap
from qsyncdsl.measure.variables import along_paths
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import fail
from qsyncdsl.model.types import Scope
from qsyncdsl.model.values import Frame, VariableValue
from qsyncdsl.syntax import tree


class MeanEvaluator(OperatorEvaluator):
    """Evaluates expectation values of one point.

    Args:
        scenes: One scene, or one for each time of an evolution.
    """

    def __init__(
        self,
        environment: Environment,
        scenes: tuple[Any, ...],
        positions: Mapping[Any, int],
    ) -> None:
        super().__init__(environment, scenes[0].space, positions)
        self.scenes = scenes
        self.series = getattr(scenes[0].result, "times", None) is not None
        self.time = scenes[0].result.times if self.series else None  # type: ignore[assignment]
        # how values along trajectories are taken: `along` each, their mean at `times`, or over all
        self._paths = ""
        # times over which values are averaged unless a measure takes them as a series
        self._averaged = getattr(scenes[0], "averaged", None) if self.series else None
        self._as_series = False
        self._in_mean = False
        # what was read of the state so far
        self._looks = 0

    @cached_property
    def whole(self) -> tuple[Any, ...]:
        """The states of a whole run as few scenes, where they are measured together; else none."""
        return whole_run(self.scenes) if self.series else ()

    @property
    def path_times(self) -> np.ndarray | None:
        """Times along trajectories, where there are any."""
        scene = self.scenes[0]
        return np.asarray(scene.times) if on_paths(scene) else None

    def expectation(self, node: tree.Expectation, scope: Scope, frame: Frame) -> Any:
        """<O>: a number, or a series in time."""
        operator, hermitian = self._observable(node, scope, frame)
        self._looks += 1
        if isinstance(operator, np.ndarray) and operator.ndim == 2:
            return self._mean_of_paths(operator)
        if not isinstance(operator, Polynomial):
            return operator
        if self._paths and on_paths(self.scenes[0]):
            return self._on_paths(operator)
        values = [scene.expect(operator) for scene in self.whole or self.scenes]
        if self.series:
            found = np.concatenate(values) if self.whole else np.array(values)
            return self.mean(found.real if operator.is_hermitian() else found)
        return values[0].real if hermitian else values[0]

    def _observable(
        self, node: tree.Expectation, scope: Scope, frame: Frame
    ) -> tuple[Any, bool]:
        """The operator of an expectation value and whether it is Hermitian.

        One that depends on no parameter and on no state is evaluated once for all points of a sweep.
        """
        before, self._in_mean = self._in_mean, True
        try:
            return self.operator(node, node.operand, scope, frame)
        finally:
            self._in_mean = before

    def operator(
        self, key: tree.Expr, node: tree.Expr, scope: Scope, frame: Frame
    ) -> tuple[Any, bool]:
        """The operator that is written in some place, and whether it is Hermitian."""
        shared = getattr(self.scenes[0], "matrices", None)
        place = ("observable", id(key))
        if shared is not None and place in shared and not frame.bindings:
            return shared[place][:2]  # type: ignore[no-any-return]
        looks = self._looks
        with self.environment.recording() as reads:
            value = self.evaluate(node, scope, frame)
            operator = self.operand(value, node)
        hermitian = isinstance(operator, Polynomial) and operator.is_hermitian()
        plain = isinstance(operator, Polynomial) and not (
            reads or frame.bindings or self.series or self._looks > looks
        )
        if shared is not None and plain:
            # the node is kept for its id
            shared[place] = (operator, hermitian, key)
        return operator, hermitian

    def _mean_of_paths(self, values: np.ndarray) -> Any:
        """The mean of a function of variables: over all, at each time, or of each path itself."""
        if self._in_mean or self._paths == "along":
            return values
        if self._paths:
            return values.mean(axis=0)
        found = np.asarray(values)
        return self.mean(found.mean(axis=0)) if self.series else found.mean().item()

    def variable(self, value: VariableValue, node: tree.Expr) -> np.ndarray:
        """A variable along the trajectories, where that is asked for."""
        if not (self._in_mean or self._paths):
            written = value.variable.written
            fail(
                "E647",
                node,
                f"'{written}' has many values: one for each time and trajectory",
                help=f"write <{written}>, along({written}) or final({written})",
            )
        row = self.row_of(value)
        return along_paths(self.scenes, value, row, node)

    def row_of(self, value: VariableValue) -> int:
        """The place of a variable's site among all of its sites."""
        sites = self.environment.sites(value.variable.index)
        return next((k for k, site in enumerate(sites) if site == value.site), 0)

    def mean(self, series: np.ndarray) -> Any:
        """A series in time, or its mean where only that is asked for."""
        if self._averaged is None or self._as_series:
            return series
        return weighted(self._averaged, series)

    def _on_paths(self, operator: Polynomial) -> np.ndarray:
        """<O> in the state of each trajectory, shape (R, T), or its mean at each time."""
        if self.series:
            found = np.concatenate([s.values(operator) for s in self.scenes], axis=1)
        else:
            found = self.scenes[0].values(operator)
        found = found.real if operator.is_hermitian() else found
        return found if self._paths == "along" else found.mean(axis=0)

    def operand(self, value: Any, node: tree.Expr) -> Any:
        """Functions and series enter arithmetic as they are."""
        if isinstance(value, VariableValue):
            return self.variable(value, node)
        if isinstance(value, Distribution | PhaseSpaceMap | np.ndarray | dict):
            return tuple(value.values()) if isinstance(value, dict) else value
        return super().operand(value, node)


def on_paths(scene: Any) -> bool:
    """Whether there are trajectories to take values along."""
    return sampled(scene) or jumping(scene) or turning(scene)
