"""validate: does training agree with the theory?

The third room of the house. It trains the models that `theory` speaks about and measures them with
losses and samples of its own, so that agreement means something; it needs torch, which the extra
``feature-packing[validate]`` installs. Nothing in `packing` or `theory` imports it.
"""

from __future__ import annotations

__version__ = "0.1.0"
