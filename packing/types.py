"""Types that every room shares: arrays by their entries, and who is told how far a job is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Complex = NDArray[np.complex128]
Progress = Callable[[str, float], None]
"""Called with what is being done and the part of it that is behind, in [0, 1]."""
Telling = Callable[..., None]
"""A `Progress` that may be told more by keyword."""

__all__ = ["Complex", "Float", "Int", "Progress", "Telling"]
