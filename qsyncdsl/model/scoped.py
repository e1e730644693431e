"""Parts of statements with the scope they stand in: indices, overrides, initial states, kinds of modes."""

from __future__ import annotations

from qsyncdsl.model.types import Index, Initial, Override, Scope
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import bound_keys


def indices(arguments: tuple[tree.Argument, ...], scope: Scope) -> tuple[Index, ...]:
    """The indices of a declaration: `[j in sites]`, `[sites]`, `[(j, k) in sites.edges]`."""
    found = []
    for argument in arguments:
        match argument:
            case tree.Each(_, pattern, domain, condition):
                found.append(Index(bound_keys(pattern), domain, condition, scope))
            case tree.Option():
                continue
            case _:
                found.append(Index((), argument, None, scope))
    return tuple(found)


def override(item: tree.Declaration | tree.Setting, scope: Scope) -> Override:
    """A declaration of a case, or a setting, as an override."""
    assert isinstance(item.place, tree.Place)
    random = isinstance(item, tree.Declaration) and item.operator == "~"
    index = indices(item.place.arguments, scope)
    return Override(item.place.name.key, item.value, scope, random, index)


def initial(
    statement: tree.Initial, scope: Scope, replicas: tuple[Index, ...] = ()
) -> Initial:
    """An `initial` statement in its scope."""
    return Initial(statement.places, statement.value, replicas, scope, statement.span)


def kind_of(expression: tree.Expr) -> tuple[str, tuple[tree.Argument, ...]]:
    """`boson(levels = 4)` as a word and its arguments."""
    match expression:
        case tree.Name(key=key):
            return key, ()
        case tree.Call(function=tree.Name(key=key), arguments=arguments):
            return key, arguments
        case _:
            return "", ()
