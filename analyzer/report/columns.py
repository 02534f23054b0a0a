"""Columns of numbers for a page: base64 of little-endian arrays, which a browser takes without parsing them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
import numpy.typing as npt

_NAMES = {"u1": "Uint8Array", "u2": "Uint16Array", "u4": "Uint32Array", "f8": "Float64Array"}


def column(values: npt.ArrayLike) -> dict[str, Any]:
    """The values as ``{"type": "Uint32Array", "data": base64}``, in the narrowest type that holds them all.

    Floating-point numbers, and integers that need more than 32 bits, are Float64Array; where all values are the same,
    it is ``{"same": value, "length": n}``.
    """
    array: npt.NDArray[Any] = np.asarray(values)
    if len(array) and (array == array.flat[0]).all():
        return {"same": array.flat[0].item(), "length": array.size}
    kind = "f8" if array.dtype.kind == "f" else _narrowest(int(array.min(initial=0)), int(array.max(initial=0)))
    return {"type": _NAMES[kind], "data": b64encode(array.astype(f"<{kind}").tobytes()).decode()}


def _narrowest(least: int, most: int) -> str:
    fits = (kind for kind in ("u1", "u2", "u4") if least >= 0 and most <= np.iinfo(kind).max)
    return next(fits, "f8")
