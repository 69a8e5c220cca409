"""The expected loss of any (W, b): one engine a module, row by row of the Gram matrix."""

from __future__ import annotations
