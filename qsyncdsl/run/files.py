"""Results in netCDF files, as xarray writes and reads them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.run.table import Column, Table

if TYPE_CHECKING:
    import xarray as xr


def save(table: Table, path: Path) -> None:
    """Write netCDF beside its place and move it there, so that no half file is ever seen.

    Raises:
        OSError: If the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".part", prefix=path.stem, dir=path.parent)
    os.close(handle)
    try:
        _write(table, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write(table: Table, name: str) -> None:
    """The layout of xarray: coordinates that label no dimension are named where they belong."""
    import h5netcdf

    with h5netcdf.File(name, "w") as file:
        file.dimensions = table.sizes
        for key, column in (*table.coords.items(), *table.data.items()):
            _write_column(file, key, column)
        loose = {k: c for k, c in table.coords.items() if c.dims != (k,)}
        used: set[str] = set()
        for key, column in table.data.items():
            own = [k for k, c in loose.items() if set(c.dims) <= set(column.dims)]
            if own:
                file.variables[key].attrs["coordinates"] = " ".join(own)
                used |= set(own)
        if set(loose) - used:
            file.attrs["coordinates"] = " ".join(k for k in loose if k not in used)
        for key, value in table.attrs.items():
            file.attrs[key] = value


def _write_column(file: Any, key: str, column: Column) -> None:
    import h5py

    values, kind = column.values, column.values.dtype.kind
    text = kind in "UO"
    dtype = h5py.string_dtype() if text else values.dtype
    blank = values.dtype.type(np.nan) if kind == "f" else None
    variable = file.create_variable(key, column.dims, dtype, fillvalue=blank)
    if values.size:
        variable[...] = values.astype(object) if text else values
    for name, value in column.attrs.items():
        variable.attrs[name] = value


def open_results(path: str | Path) -> xr.Dataset:
    """Open the result of an experiment, complex numbers included.

    Raises:
        OSError: If the file cannot be read.
    """
    import xarray as xr

    return xr.load_dataset(path, engine="h5netcdf")
