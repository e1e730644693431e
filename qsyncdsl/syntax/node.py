"""The base of all nodes of the syntax tree: records that know where they are written."""

from __future__ import annotations

from dataclasses import field

from qsyncdsl.record import Record, record
from qsyncdsl.source import Span


@record
class Node(Record):
    """Base of every syntax node."""

    span: Span = field(compare=False, repr=False)
