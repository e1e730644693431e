"""What numba lacks and the compiled kernels need: bits of numbers, rows on the stack."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic, overload


@intrinsic  # type: ignore[untyped-decorator]
def to_float(typing_context: Any, word: Any) -> Any:
    """The double with these 64 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), code


@intrinsic  # type: ignore[untyped-decorator]
def to_bits(typing_context: Any, number: Any) -> Any:
    """The 64 bits of a double."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), code


@intrinsic  # type: ignore[untyped-decorator]
def _on_stack(typing_context: Any, rows: Any, lanes: Any) -> Any:
    """Room for rows x lanes doubles, both known when compiled."""
    if not isinstance(rows, types.IntegerLiteral) or not isinstance(
        lanes, types.IntegerLiteral
    ):
        return None
    size = rows.literal_value * lanes.literal_value

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        room = cgutils.alloca_once(builder, ir.ArrayType(ir.DoubleType(), size))
        return builder.bitcast(room, ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(rows, lanes), code


def lane_rows(rows: int, lanes: int) -> Any:
    """An array of the calling function alone, which the compiler knows to overlap with no other.

    Without this every loop that reads many rows would check for overlap first, and few would be
    vectorized.
    """
    raise TypeError("inside compiled functions only")


@overload(lane_rows, inline="always")  # type: ignore[untyped-decorator]
def _lane_rows(rows: Any, lanes: Any) -> Any:
    def code(rows: Any, lanes: Any) -> Any:
        return carray(_on_stack(rows, lanes), (rows, lanes))

    return code
