"""The located values of one point, found when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qsyncdsl.model.types import Override
from qsyncdsl.run.locate import Place, locate
from qsyncdsl.run.session import Session
from qsyncdsl.syntax import tree


def highest_at(name: str) -> str:
    """What the largest population of a highest level at a located value is called in a trust report."""
    return f"highest_at {name}"


class Located(Mapping[str, Any]):
    """The located values of one point, found when they are asked for."""

    def __init__(
        self,
        session: Session,
        requests: list[tree.Locate],
        layers: list[tuple[Override, ...]],
        case: str | None,
        draw: int = 0,
    ) -> None:
        self._session = session
        self._requests = {request.name.key: request for request in requests}
        self._layers = layers
        self._case = case
        self._draw = draw
        self._known: dict[str, Place] = {}

    def __getitem__(self, name: str) -> float:
        """A located value; NaN for "none in range"."""
        return self.place(name).value

    def place(self, name: str) -> Place:
        """A located value with what is known of it."""
        if name not in self._known:
            request = self._requests[name]
            self._known[name] = locate(
                self._session, request, self._layers, self._case, self._draw
            )
        return self._known[name]

    def __iter__(self) -> Any:
        return iter(self._requests)

    def __len__(self) -> int:
        return len(self._requests)
