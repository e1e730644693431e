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


def is_auto(node: object) -> bool:
    """Whether a number of levels is left to the program: `levels = auto`."""
    return isinstance(node, tree.Name) and node.key == "auto"


def mentions(node: object, names: set[str]) -> bool:
    """Whether one of the names occurs."""
    return any(name.key in names for name in names_in(node))
