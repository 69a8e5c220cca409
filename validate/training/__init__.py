"""Training: trainer, engines (PyTorch, numba, CUDA), and whether they train alike."""

from __future__ import annotations
