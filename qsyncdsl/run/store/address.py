r"""Addresses of what is computed: equal texts of physics have equal addresses, all others differ.

The **shelf** of a line is named by the model without the values of its parameters, the method with its
options, the seed and the versions of the programs. A **point** on it is named by the values of the
parameters that hold there, a **measure** of a point by its expression. Comments, layout, descriptions
and labels do not enter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from qsyncdsl.model.environment import _merge
from qsyncdsl.model.types import (
    Define,
    Entity,
    Index,
    Lattice,
    Mode,
    Model,
    Noise,
    Override,
    Parameter,
    Variable,
)
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import names_in

# Changes whenever old blocks can no longer be read.
FORMAT = 1
_PROGRAMS = ("numpy", "scipy", "sympy", "qutip", "numba")
# Fields of an entity that say nothing about numbers.
_SILENT = frozenset({"span", "scope", "written", "order", "description", "members"})


def digest(*parts: Any) -> str:
    """32 hexadecimal digits for a sequence of values."""
    state = blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


@lru_cache(maxsize=1)
def program() -> str:
    """Digest of the versions that numbers depend on, and of the text of this program."""
    found = []
    for name in _PROGRAMS:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, ""))
    folder = Path(__file__).parents[2]
    texts = sorted(folder.rglob("*.py"))
    return digest(found, *(path.read_bytes() for path in texts))


# ── lines and points ─────────────────────────────────────────────────────────────────────────


class Addresses:
    """Addresses of everything that one line of a plan computes."""

    def __init__(self, plan: Plan, line: Line) -> None:
        self.plan = plan
        self.line = line
        model = plan.model
        roots = _roots(model, plan, line)
        self._solving = _reached(model, roots)
        model_text = [
            *(_entity(e) for e in self._solving.values() if not _plain(e)),
            *(_text(part) for part in _terms(model)),
        ]
        self.shelf = digest(
            FORMAT,
            program(),
            line.method,
            _text(line.node.options),
            _text(plan.measures.get(_stopped_by(line))),
            plan.options.seed,
            *model_text,
        )
        # Realizations are the same however many there are; what they are made of is in their keys.
        self.realizations = digest(FORMAT, program(), line.method, *model_text)
        self._bases: dict[int, tuple[str, list[tuple[int, int]]]] = {}

    def point(self, index: tuple[int, ...], draw: int) -> bytes:
        """The address of one point and one draw of disorder, 16 bytes."""
        if index[0] not in self._bases:
            self._bases[index[0]] = self._base(index[0])
        base, places = self._bases[index[0]]
        texts = self._texts
        text = ",".join([texts[axis][index[axis + 1]][k] for axis, k in places])
        data = f"{base};{text};{draw}".encode()
        return blake2b(data, digest_size=16).digest()

    @cached_property
    def _texts(self) -> list[list[list[str]]]:
        """`name=value` for all values of each axis."""
        return [
            [
                [f"{n}={v!r}" for n, v in zip(axis.names, row, strict=True)]
                for row in axis.values
            ]
            for axis in self.line.axes
        ]

    def _base(self, case: int) -> tuple[str, list[tuple[int, int]]]:
        """What the points of a case share, and where the swept names are that have their say."""
        name = self.plan.cases[case]
        below, above = self.plan.layers(name), self.line.overrides
        marks = [
            Override(n, complex(0, k))
            for k, axis in enumerate(self.line.axes)
            for n in axis.names
        ]
        merged = _merge([*below, marks, above])
        swept = tuple(sorted(m.name for m in marks if merged.get(m.name) is m))
        fixed = [(n, _override(o)) for n, o in sorted(merged.items()) if n not in swept]
        declared = [
            _entity(e)
            for n, e in self._solving.items()
            if _plain(e) and n not in merged
        ]
        model = self.plan.model
        chosen = model.cases[name].initials if name else ()
        initials = [*model.initials, *chosen, *self.plan.initials]
        where = {
            name: (k, place)
            for k, axis in enumerate(self.line.axes)
            for place, name in enumerate(axis.names)
        }
        places = [where[name] for name in swept]
        return digest(fixed, declared, _text(initials)), places

    # ── measures ─────────────────────────────────────────────────────────────────────────

    def items(self, grids: Mapping[str, np.ndarray]) -> dict[str, str]:
        """The addresses of measures and located values, by name.

        `grids` are those that distributions are drawn on.
        """
        found = {}
        for name, request in self.plan.measures.items():
            found[name] = self._item(name, request.value, request.place, grids)
        for other in self.plan.experiment.requests:
            if isinstance(other, tree.Locate):
                place = (other.parameter, other.range)
                found[other.name.key] = self._item(
                    other.name.key, other.goal, place, {}
                )
        return found

    def _item(
        self, name: str, value: Any, place: Any, grids: Mapping[str, np.ndarray]
    ) -> str:
        wanted = self._requests([value, place])
        entities = _reached(self.plan.model, [value, place, *wanted.values()])
        others = [_entity(e) for n, e in entities.items() if n not in self._solving]
        grid = grids.get(name)
        arguments = place.arguments if isinstance(place, tree.Place) else place
        return digest(
            name,
            type(value).__name__,
            _text(value),
            _text(arguments),
            sorted((n, _text(node)) for n, node in wanted.items()),
            others,
            None if grid is None else np.ascontiguousarray(grid).tobytes(),
        )

    def _requests(self, nodes: list[Any]) -> dict[str, Any]:
        """The other measures and located values that an expression goes back to."""
        known: dict[str, Any] = {n: r.value for n, r in self.plan.measures.items()}
        for request in self.plan.experiment.requests:
            if isinstance(request, tree.Locate):
                known[request.name.key] = (
                    request.parameter,
                    request.range,
                    request.goal,
                )
        found: dict[str, Any] = {}
        waiting = list(nodes)
        while waiting:
            for name in names_in(_tupled(waiting.pop())):
                if name.key in known and name.key not in found:
                    found[name.key] = known[name.key]
                    waiting.append(known[name.key])
        return found

    def verdict(self, request: tree.Expect) -> bytes:
        """The address of what an expectation comes to."""
        cases = [(c, self._base(k)[0]) for k, c in enumerate(self.plan.cases)]
        names = self._requests([request])
        entities = _reached(self.plan.model, [request, *names.values()])
        text = digest(
            "expect",
            self.shelf,
            _text(request),
            sorted((n, _text(node)) for n, node in names.items()),
            [_entity(e) for e in entities.values()],
            [(n, _text(c)) for n, c in self.plan.model.cases.items()],
            [_override(o) for layer in self.plan.layers(None) for o in layer],
            [
                (
                    x.label,
                    x.method,
                    _text(x.node.options),
                    list(map(_override, x.overrides)),
                )
                for x in self.plan.lines
            ],
            cases,
        )
        return bytes.fromhex(text)


def _roots(model: Model, plan: Plan, line: Line) -> list[Any]:
    """Everything in which a name may stand that a solver looks up."""
    cases = list(model.cases.values())
    return [
        *_terms(model),
        [e for e in model.entities.values() if isinstance(e, Mode | Variable | Noise)],
        [x.value for x in (*model.initials, *plan.initials)],
        [x.value for case in cases for x in case.initials],
        [o.value for case in cases for o in case.overrides],
        [o.value for layer in plan.layers(None) for o in layer],
        [o.value for o in line.overrides],
        line.node.options,
        [tree.Name(line.node.span, "hbar", "hbar")],
    ]


def _stopped_by(line: Line) -> str:
    """The measure whose error ends the runs of a line; it is looked up by the solver."""
    until = line.node.until
    return until.measure.key if until is not None and until.measure is not None else ""


def _terms(model: Model) -> list[Any]:
    return [model.hamiltonian, model.dissipators, model.kicks, model.equations]


def _reached(model: Model, roots: Iterable[Any]) -> dict[str, Entity]:
    """The entities that may be meant by a name in some nodes, and so on; rather too many."""
    by_word: dict[str, list[Entity]] = {}
    for entity in model.entities.values():
        for word in {entity.name, *entity.name.split(".")}:
            by_word.setdefault(word, []).append(entity)
    found: set[str] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        for word in _words(waiting.pop()):
            for entity in by_word.get(word, ()):
                if entity.name not in found:
                    found.add(entity.name)
                    waiting.append(entity)
    return {n: e for n, e in model.entities.items() if n in found}


def _words(node: Any) -> Iterator[str]:
    """Names that occur in a value of any of our classes."""
    if isinstance(node, Mode | Variable | Noise):
        yield node.name
    if isinstance(node, tree.Node):
        for name in names_in(node):
            yield name.key
    elif isinstance(node, tuple | list):
        for item in node:
            yield from _words(item)
    elif hasattr(node, "__dataclass_fields__"):
        for slot in node.__dataclass_fields__:
            if slot not in ("span", "scope", "members"):
                yield from _words(getattr(node, slot))


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list | tuple) else value


# ── texts ────────────────────────────────────────────────────────────────────────────────────


def _plain(entity: Entity) -> bool:
    """Whether it is a parameter: its value belongs to the point."""
    return isinstance(entity, Parameter)


def _entity(entity: Entity) -> str:
    """An entity without what says nothing about numbers."""
    fields = [
        (slot, _text(getattr(entity, slot)))
        for slot in entity.__dataclass_fields__
        if slot not in _SILENT
    ]
    path = entity.scope.path if isinstance(entity, Define | Parameter) else ""
    return f"{type(entity).__name__} {path} {fields} {_files(entity)}"


def _files(entity: Entity) -> str:
    """Digests of the files that a lattice is read from."""
    if not isinstance(entity, Lattice):
        return ""
    folder = Path(entity.value.span.source.name).parent
    found = []
    for argument in getattr(entity.value, "arguments", ()):
        node = argument.value if isinstance(argument, tree.Option) else argument
        if isinstance(node, tree.String) and (folder / node.value).is_file():
            found.append(digest((folder / node.value).read_bytes()))
    return " ".join(found)


def _override(override: Override) -> str:
    path = override.scope.path if override.scope is not None else ""
    value, index = _text(override.value), _text(override.index)
    return f"{override.name} {path} {value} {override.random} {index}"


def _text(value: Any) -> str:
    """A text for any value of the tree or the model, without places."""
    if isinstance(value, tuple | list):
        return "(" + ",".join(_text(item) for item in value) + ")"
    if isinstance(value, tree.Node) or not hasattr(value, "__dataclass_fields__"):
        return repr(value)
    fields = [
        f"{slot}={_text(getattr(value, slot))}"
        for slot in value.__dataclass_fields__
        if slot not in _SILENT
    ]
    scope = getattr(value, "scope", None)
    path = scope.path if scope is not None and not isinstance(value, Index) else ""
    return f"{type(value).__name__}[{path}]({','.join(fields)})"
