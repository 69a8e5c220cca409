"""packing: where features can be put in few dimensions.

The first room of the house: the geometry, and the command line that serves all three rooms. The
attributes below are imported when they are first asked for (PEP 562), so that ``import packing``
costs nothing and ``packing --help`` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packing.errors import BadInput as BadInput
    from packing.errors import NotReached as NotReached
    from packing.recognise import Block as Block
    from packing.recognise import Named as Named
    from packing.recognise import name_of as name_of

__version__ = "0.1.0"

_HOME = {
    "BadInput": "packing.errors",
    "NotReached": "packing.errors",
    "Block": "packing.recognise",
    "Named": "packing.recognise",
    "name_of": "packing.recognise",
}

__all__ = ["BadInput", "Block", "Named", "NotReached", "__version__", "name_of"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'packing' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
