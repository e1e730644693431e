"""Walking syntax trees: which names occur."""

from __future__ import annotations

from collections.abc import Iterator

from qsyncdsl.syntax import tree


def names_in(node: object) -> Iterator[tree.Name]:
    """The names that occur in a node or in a tuple of nodes, in order."""
    if isinstance(node, tree.Name):
        yield node
    elif isinstance(node, tuple):
        for item in node:
            yield from names_in(item)
    elif isinstance(node, tree.Node):
        for slot in type(node).__dataclass_fields__:
            if slot != "span":
                yield from names_in(getattr(node, slot))


def bound_names(pattern: tree.Node) -> tuple[tree.Name, ...]:
    """The names that the pattern of a binder binds: `j`, `(j, k)`, `S[j in sites]`; of anything else none."""
    match pattern:
        case tree.Name():
            return (pattern,)
        case tree.Place(name=name):
            return (name,)
        case tree.Group(names=names):
            return names
        case tree.Tuple(items=items):
            return tuple(item for item in items if isinstance(item, tree.Name))
        case _:
            return ()


def bound_keys(pattern: tree.Node) -> tuple[str, ...]:
    """The same in the form that is compared."""
    return tuple(name.key for name in bound_names(pattern))


def is_auto(node: object) -> bool:
    """Whether a number of levels is left to the program: `levels = auto`."""
    return isinstance(node, tree.Name) and node.key == "auto"


def mentions(node: object, names: set[str]) -> bool:
    """Whether one of the names occurs."""
    return any(name.key in names for name in names_in(node))
