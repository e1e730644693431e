"""Numbers that lie side by side, as one value of a compiled function: a vector register or a few.

Loops over arrays with a short last axis are left as loops by the compiler where arrays might overlap;
these are vector instructions always. Inside compiled functions only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model


@dataclass(frozen=True)
class Vectors:
    """What can be done with rows of `lanes` doubles of contiguous arrays of shape (n, lanes).

    Attributes:
        zeros: `zeros()`: 0 in every lane.
        load, store: `load(array, row)` and `store(array, row, x)`; the row is not checked.
        negative, reciprocal: -x and 1/x.
        product: x y.
        reduced: x - y z, rounded once.
        added: x + y z, rounded once.
        larger: max(|x|, y), y where x is not a number.
    """

    zeros: Any
    load: Any
    store: Any
    negative: Any
    reciprocal: Any
    product: Any
    reduced: Any
    added: Any
    larger: Any


@lru_cache(maxsize=8)
def vectors(lanes: int) -> Vectors:  # noqa: C901 (one small function for each instruction)
    """The instructions for a number of lanes."""
    vector = ir.VectorType(ir.DoubleType(), lanes)

    class Lanes(types.Type):  # type: ignore[misc]
        """Doubles side by side."""

        def __init__(self) -> None:
            super().__init__(name=f"Lanes({lanes})")

    @register_model(Lanes)  # type: ignore[untyped-decorator]
    class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
        def __init__(self, manager: Any, kind: Any) -> None:
            super().__init__(manager, kind, vector)

    side_by_side = Lanes()

    def place(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
        """The address of a row."""
        data = context.make_array(kind)(context, builder, array).data
        first = builder.mul(row, ir.Constant(ir.IntType(64), lanes))
        return builder.bitcast(builder.gep(data, [first]), vector.as_pointer())

    @intrinsic  # type: ignore[untyped-decorator]
    def zeros(typing_context: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return ir.Constant(vector, [0.0] * lanes)

        return side_by_side(), code

    @intrinsic  # type: ignore[untyped-decorator]
    def load(typing_context: Any, array: Any, row: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # NumPy aligns arrays to 16 bytes, vectors would be more.
            address = place(context, builder, signature.args[0], *arguments)
            return builder.load(address, align=8)

        return side_by_side(array, types.int64), code

    @intrinsic  # type: ignore[untyped-decorator]
    def store(typing_context: Any, array: Any, row: Any, x: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = place(context, builder, signature.args[0], *arguments[:2])
            builder.store(arguments[2], address, align=8)
            return context.get_dummy_value()

        return types.void(array, types.int64, side_by_side), code

    @intrinsic  # type: ignore[untyped-decorator]
    def negative(typing_context: Any, x: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.fneg(arguments[0])

        return side_by_side(side_by_side), code

    @intrinsic  # type: ignore[untyped-decorator]
    def reciprocal(typing_context: Any, x: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.fdiv(ir.Constant(vector, [1.0] * lanes), arguments[0])

        return side_by_side(side_by_side), code

    @intrinsic  # type: ignore[untyped-decorator]
    def product(typing_context: Any, x: Any, y: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.fmul(*arguments)

        return side_by_side(side_by_side, side_by_side), code

    def fused(builder: Any, x: Any, y: Any, z: Any) -> Any:
        """x + y z by one instruction."""
        kind = ir.FunctionType(vector, [vector] * 3)
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.fma.v{lanes}f64"
        )
        return builder.call(function, [y, z, x])

    @intrinsic  # type: ignore[untyped-decorator]
    def reduced(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, y, z = arguments
            return fused(builder, x, builder.fneg(y), z)

        return side_by_side(side_by_side, side_by_side, side_by_side), code

    @intrinsic  # type: ignore[untyped-decorator]
    def added(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return fused(builder, *arguments)

        return side_by_side(side_by_side, side_by_side, side_by_side), code

    @intrinsic  # type: ignore[untyped-decorator]
    def larger(typing_context: Any, x: Any, y: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, y = arguments
            kind = ir.FunctionType(vector, [vector])
            name = f"llvm.fabs.v{lanes}f64"
            modulus = builder.call(
                cgutils.get_or_insert_function(builder.module, kind, name), [x]
            )
            above = builder.fcmp_ordered(">", modulus, y)
            return builder.select(above, modulus, y)

        return side_by_side(side_by_side, side_by_side), code

    return Vectors(
        zeros, load, store, negative, reciprocal, product, reduced, added, larger
    )
