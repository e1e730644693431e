r"""Compiled functions by their machine code: kept on disk, loaded by LLVM alone, called with ctypes.

Importing numba and preparing it takes longer than many a run. What it has compiled needs neither: a
function takes the fields of its arrays and the items of its tuples one by one, writes what it returns
to where its first argument points, and answers with a status (numba.core.callconv.CPUCallConv).
Functions that take or return anything else, or need the runtime of numba, are left to numba.
"""

from __future__ import annotations

import ctypes
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

import numpy as np

from qsyncdsl import resources
from qsyncdsl.diagnostics import InternalError

# Where code is kept, and of how many functions at most.
_FOLDER, _MOST = "objects", 512
# Symbols of numba's runtime that are only reached through arrays it has made itself.
_NEVER = frozenset({"NRT_MemInfo_call_dtor", "numba_gil_ensure", "numba_gil_release"})
_SCALARS: dict[str, Any] = {
    "int64": ctypes.c_int64,
    "float64": ctypes.c_double,
    "bool": ctypes.c_int8,
}
# Options of the compiler that change results.
_OPTIONS = ("error_model", "fastmath")
# Statuses of functions that give a value and of those that give none.
_DONE = (0, -2)


@dataclass(frozen=True, slots=True)
class Code:
    """What is kept of a function.

    Attributes:
        symbol: Its name among the symbols of the object.
        object: The object file.
        returns: Kinds of the numbers that it returns; one that is not in a tuple stands alone.
        single: Whether it returns a number rather than a tuple.
        outside: Symbols that it takes from elsewhere.
    """

    symbol: str
    object: bytes
    returns: tuple[str, ...]
    single: bool
    outside: tuple[str, ...]


class Compiled:
    """A function of a generated module; numba is only imported where nothing was kept.

    Args:
        numba: Gives the function as numba compiles it.
        digest: Of the text of the module.
    """

    def __init__(self, numba: Callable[[], Any], digest: str, name: str) -> None:
        self._numba, self._digest, self.name = numba, digest, name
        self._ready: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        kinds = tuple(map(_kind, arguments))
        call = self._ready.get(kinds)
        if call is None:
            call = self._ready[kinds] = self._find(kinds, arguments)
        return call(*arguments)

    def _find(self, kinds: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        if os.environ.get("QSYNCDSL_DEBUG") or "" in _flat(kinds):
            return self._numba()  # type: ignore[no-any-return]
        parts = (self._digest, self.name, kinds, _machine())
        key = blake2b(repr(parts).encode(), digest_size=16).hexdigest()
        code = _read(key)
        if code is None:
            function = self._numba()
            code = _code(function, arguments)
            if code is None:
                return function  # type: ignore[no-any-return]
            _keep(key, code)
        return _loaded(code, kinds) or self._numba()  # type: ignore[no-any-return]


# ── files ────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def _machine() -> tuple[str, ...]:
    """What machine code depends on beside its source."""
    import llvmlite
    from llvmlite import binding

    features = binding.get_host_cpu_features().flatten()
    numba = version("numba")
    return binding.get_host_cpu_name(), features, llvmlite.__version__, numba


def _read(key: str) -> Code | None:
    """The code that was kept; None where there is none, or it is damaged."""
    with suppress(Exception):
        code = pickle.loads(resources.kept(_FOLDER, key) or b"")
        return code if isinstance(code, Code) else None
    return None


def _keep(key: str, code: Code) -> None:
    """Keep code; where nothing can be written it is compiled again."""
    resources.keep(pickle.dumps(code), _FOLDER, key, most=_MOST)


# ── arguments ────────────────────────────────────────────────────────────────────────────────


def _kind(value: Any) -> Any:
    """How an argument is passed; empty for one that is left to numba."""
    if isinstance(value, np.ndarray):
        plain = value.flags.c_contiguous and value.flags.aligned
        if not plain or value.dtype.kind not in "fciu" or not value.dtype.isnative:
            return ""
        return (value.dtype.str, value.ndim, value.flags.writeable)
    if isinstance(value, tuple):
        return ("tuple", *map(_kind, value))
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | np.int64):
        return "int64"
    return "float64" if isinstance(value, float) else ""


def _flat(kinds: Any) -> Iterator[Any]:
    for kind in kinds:
        if isinstance(kind, tuple) and kind[:1] == ("tuple",):
            yield from _flat(kind[1:])
        else:
            yield kind


def _types(kinds: Any) -> Iterator[Any]:
    """The types of the arguments one by one."""
    for kind in _flat(kinds):
        if isinstance(kind, str):
            yield _SCALARS[kind]
            continue
        # two pointers that numba keeps books with, numbers of items and of bytes of one, the data
        yield from (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        yield ctypes.c_void_p
        yield from [ctypes.c_int64] * (2 * kind[1])


def _passed(values: Any, out: list[Any]) -> list[Any]:
    """The arguments one by one."""
    for value in values:
        if isinstance(value, np.ndarray):
            out += (None, None, value.size, value.itemsize, value.ctypes.data)
            out += value.shape
            out += value.strides
        elif isinstance(value, tuple):
            _passed(value, out)
        else:
            out.append(value)
    return out


# ── compiling and loading ────────────────────────────────────────────────────────────────────


def _code(function: Any, arguments: tuple[Any, ...]) -> Code | None:
    """What numba makes of a function for some arguments; None where it cannot do without numba.

    The object is not part of what numba promises: whatever is not as expected, numba keeps the function.
    """
    from numba import njit, typeof, types

    try:
        signature = tuple(typeof(a) for a in arguments)
        options = {k: v for k, v in function.targetoptions.items() if k in _OPTIONS}
        bare = njit(**options, no_cpython_wrapper=True, no_cfunc_wrapper=True)
        function = bare(function.py_func)
        function.compile(signature)
        found = function.overloads[signature]
        result = found.signature.return_type
        single = not isinstance(result, types.BaseTuple)
        items = (result,) if single else tuple(result)
        returns = () if result is types.none else tuple(map(str, items))
        known = (*_SCALARS, "none")
        if not all(name in known for name in returns):
            return None
        data = found.library.serialize_using_object_code()[2][0]
        module = found.library._final_module
        outside = tuple(
            x.name
            for x in (*module.functions, *module.global_variables)
            if x.is_declaration and not x.name.startswith("llvm.")
        )
        symbol = found.fndesc.llvm_func_name
    except (AttributeError, KeyError, TypeError, IndexError, RuntimeError):
        return None
    # Numba has told LLVM of symbols of its own, which are not there without it.
    process = ctypes.CDLL(None)
    if any(not hasattr(process, x) for x in outside if x not in _NEVER):
        return None
    return Code(symbol, data, returns, single, outside)


@lru_cache(maxsize=1)
def _engine() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


def _loaded(code: Code, kinds: Any) -> Callable[..., Any] | None:
    """The function; None where a symbol is missing."""
    from llvmlite import binding

    for name in code.outside:
        if not binding.address_of_symbol(name):
            if name not in _NEVER:
                return None
            binding.add_symbol(name, ctypes.cast(_UNREACHABLE, ctypes.c_void_p).value)
    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code.object))
    engine.finalize_object()
    address = engine.get_function_address(code.symbol)
    prototype = ctypes.CFUNCTYPE(
        ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *_types(kinds)
    )
    function = prototype(address)
    fields = [(f"item{k}", _SCALARS[name]) for k, name in enumerate(code.returns)]
    place = type("Returned", (ctypes.Structure,), {"_fields_": fields})

    def call(*arguments: Any) -> Any:
        out, fault = place(), ctypes.c_void_p()
        status = function(
            ctypes.addressof(out), ctypes.addressof(fault), *_passed(arguments, [])
        )
        if status not in _DONE:
            raise InternalError(f"'{code.symbol}' failed with status {status}")
        found = tuple(getattr(out, name) for name, _ in fields)
        return found[0] if code.single and found else found or None

    return call


# Stands where no call arrives.
_UNREACHABLE = ctypes.CFUNCTYPE(None)(lambda: None)
