"""packing: where features can be put in few dimensions.

The first room of the house: the geometry, and the command line that serves all three rooms. The
attributes below are imported when they are first asked for (PEP 562), so that ``import packing``
costs nothing and ``packing --help`` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packing.arrangement import Arrangement as Arrangement
    from packing.bounds import Bound as Bound
    from packing.bounds import Bounds as Bounds
    from packing.catalogue import Entry as Entry
    from packing.catalogue import entries as entries
    from packing.catalogue import entry as entry
    from packing.catalogue import srg as srg
    from packing.errors import BadInput as BadInput
    from packing.errors import NotReached as NotReached
    from packing.evaluation import Evaluation as Evaluation
    from packing.evaluation import evaluate as evaluate
    from packing.proofs.certificates import Certificate as Certificate
    from packing.proofs.certificates import certify as certify
    from packing.proofs.existence import Existence as Existence
    from packing.proofs.existence import existence as existence
    from packing.recognition import Block as Block
    from packing.recognition import Named as Named
    from packing.recognition import identify as identify
    from packing.recognition import name_of as name_of
    from packing.results import Evidence as Evidence
    from packing.search import Code as Code

__version__ = "0.1.0"

_HOME = {
    "Arrangement": "packing.arrangement",
    "Bound": "packing.bounds",
    "Bounds": "packing.bounds",
    "Entry": "packing.catalogue",
    "entries": "packing.catalogue",
    "entry": "packing.catalogue",
    "srg": "packing.catalogue",
    "BadInput": "packing.errors",
    "NotReached": "packing.errors",
    "Evaluation": "packing.evaluation",
    "evaluate": "packing.evaluation",
    "Certificate": "packing.proofs.certificates",
    "certify": "packing.proofs.certificates",
    "Existence": "packing.proofs.existence",
    "existence": "packing.proofs.existence",
    "Block": "packing.recognition",
    "Named": "packing.recognition",
    "identify": "packing.recognition",
    "name_of": "packing.recognition",
    "Evidence": "packing.results",
    "Code": "packing.search",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'packing' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
