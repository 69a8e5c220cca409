"""Training: trainer, engines (PyTorch, numba, CUDA), and whether they train alike."""
