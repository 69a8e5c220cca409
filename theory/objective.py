"""What is minimised besides the features: the options of the model and of its loss."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """The expected loss of x' = ReLU(W^T W x + b), or of a simpler model.

    Parameters
    ----------
    bias : bool
        Without it b = 0.
    relu : bool
        Without it the model is linear, x' = W^T W x + b.
    """

    bias: bool = True
    relu: bool = True


PLAIN = Objective()
"""The model of Elhage et al. 2022, with biases and ReLU."""
