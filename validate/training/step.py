"""One step of K models at once: the gradient by hand, and Adam.

With x in columns and a 1 below each, z = A x for A = [[W'W, b], [0, 1]]. The loss of a batch is
sum_i I_i mean (x_i - relu(z_i))^2, so with e = relu(z) - x where z > 0, and 0 elsewhere,

    D = (2/B) diag(I, 0) e x',   dL/dW = W (D + D')[:n, :n],   dL/db = D[:n, n],

2 n^2 multiplications a column. Where d is much smaller than n the factors are cheaper, 5 n d:

    h = W x,   z = W'h + b,   dL/dW = s o (h e') + (s o W) e x',   dL/db = s o (e 1),

s = (2/B) I along features. Which way is taken depends on n and d alone (`factored`).

The losses of the K models are never averaged: each model sees its own gradient, as if alone.

Bitwise the same in any company, on a CPU: products are batched (`bmm` in one thread; its library
does not promise this, tests/test_validate_train.py checks it), the rest is element by element
without reductions across models, and a model's parameters are padded to LANES numbers, so that no
model lies in the ragged end of a vector loop, where sums are rounded in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from packing.types import Float
from validate.experiments import Recipe, Run
from validate.sampling import Chunk, generator

LANES = 64
"""Parameters per model are padded to a multiple of this."""

EPSILON = 1e-8
"""Added by Adam to the root of the second moment."""

FIRST_BIAS = 0.1
"""Biases start uniform on [0, FIRST_BIAS]: a unit whose z is below zero for every sample gets no
gradient and never comes back, and a positive bias makes every unit answer to the empty sample."""

MANY = 64
"""Features from which the factors are considered: below, a product costs little beside its call
and the passes over z and e, and the factors lose up to a half at small batches (measured)."""

CHEAPER = 0.6
"""The factors are taken if they need at most this part of the multiplications: theirs are of
thinner matrices, and slower each. Measured on one core, from (64, 4) to (400, 140): beyond they are
between 0.7 and 1.7 times as fast, below 1.3 to 7 times, 3 to 4 at (400, 30)."""


def factored(n: int, d: int) -> bool:
    """Whether a step multiplies by W and W' in turn (5 n d a column) rather than by W'W (2 n^2)."""
    return n >= MANY and 5 * d <= CHEAPER * 2 * n


def first_weights(run: Run) -> Float:
    """Weights and biases a run starts from, shape (d n + n,), in float64.

    Notes
    -----
    Drawn for this model by its own scale. A library's initialiser on the stacked (K, d, n) tensor
    would take K for a width, and the scale would shrink as K grows.
    """
    n, d, rng = run.setting.n, run.setting.d, generator(run.key, 0)
    W = rng.standard_normal((d, n))
    if run.recipe.init == "unit":
        W /= np.linalg.norm(W, axis=0)
    else:
        W *= math.sqrt(2.0 / (n + d)) * (0.1 if run.recipe.init == "small" else 1.0)
    b = rng.uniform(0.0, FIRST_BIAS, n) * run.setting.bias
    return np.concatenate([W.ravel(), b])


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step counted from 0: a linear rise, then the schedule down to zero."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    left = 1.0 - (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
    if recipe.schedule == "linear":
        return recipe.lr * left
    if recipe.schedule == "cosine":
        return recipe.lr * 0.5 * (1.0 - math.cos(math.pi * left))
    return recipe.lr


class Stack:
    """K models of one shape, their Adam moments and the buffers of a step.

    Parameters
    ----------
    runs : sequence of Run
        With the same n, d, recipe, bias and relu.
    columns : int
        R, columns of a batch.
    device : torch.device
    """

    def __init__(self, runs: Sequence[Run], columns: int, device: torch.device) -> None:
        setting, self.recipe = runs[0].setting, runs[0].recipe
        self.n, self.d, self.relu, self.bias = setting.n, setting.d, setting.relu, setting.bias
        self.factored = factored(self.n, self.d)
        self.columns, self.device = columns, device
        self.dtype = torch.float32 if self.recipe.dtype == "float32" else torch.float64
        self.size = self.n * (self.d + 1)
        padded = np.zeros((len(runs), -(-self.size // LANES) * LANES))
        padded[:, : self.size] = [first_weights(run) for run in runs]
        self.theta = torch.from_numpy(padded).to(device=device, dtype=self.dtype)
        self.first, self.second = torch.zeros_like(self.theta), torch.zeros_like(self.theta)
        importance = np.stack([run.setting.features.importance for run in runs])
        self.importance = torch.from_numpy(importance).to(device=device, dtype=self.dtype)
        self._buffers()

    def _buffers(self) -> None:
        K, n, m = len(self.theta), self.n, self.n + 1
        make = partial(torch.zeros, dtype=self.dtype, device=self.device)
        rows = n if self.factored else m
        self.z = make((K, rows, self.columns))
        self.e = make((K, rows, self.columns))
        if self.factored:
            self.h = make((K, self.d + 1, self.columns))
        else:
            self.A = make((K, m, m))
            self.A[:, n, n] = 1.0
            self.D = make((K, m, m))
        self.scale = make((K, m, 1))
        self.scale[:, :n, 0] = self.importance * (2.0 / self.recipe.batch)
        self.gradient = torch.zeros_like(self.theta)
        self.root = torch.empty_like(self.theta)
        self.W, self.b = self._parts(self.theta)
        self.grad_W, self.grad_b = self._parts(self.gradient)

    def _parts(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        size = self.n * self.d
        W = theta[:, :size].view(-1, self.d, self.n)
        return W, theta[:, size : size + self.n]

    def weights(self) -> Float:
        """Weights and biases, shape (K, d n + n), in float64."""
        kept = self.theta[:, : self.size]
        return np.asarray(kept.to(device="cpu", dtype=torch.float64, copy=True).numpy())

    def finite(self) -> torch.Tensor:
        """Which models are sound, shape (K,); infinite moments stop a model as surely as NaN."""
        sound = torch.isfinite(self.theta).all(dim=1) & torch.isfinite(self.first).all(dim=1)
        return sound & torch.isfinite(self.second).all(dim=1)

    def keep(self, lanes: torch.Tensor) -> None:
        """Go on with some of the models only."""
        self.theta, self.importance = self.theta[lanes], self.importance[lanes]
        self.first, self.second = self.first[lanes], self.second[lanes]
        self._buffers()

    def step(self, chunk: Chunk, t: int, step: int, record: bool) -> Float | None:
        """One update with batch t of the chunk; the losses of that batch (K,) if asked for."""
        z, e = self.z, self.e
        x = chunk.x[:, t if chunk.x.shape[1] > 1 else 0]
        if self.factored:
            self._outputs_by_factors(x)
        else:
            self._outputs(x)
        target = x[:, : z.shape[1]]
        if self.relu:
            torch.clamp_min(z, 0.0, out=e)
            e.sub_(target)
        else:
            torch.sub(z, target, out=e)
        losses = self._losses(chunk, t) if record else None
        if self.relu:
            torch.ops.aten.threshold_backward.grad_input(e, z, 0.0, grad_input=e)
        if chunk.weight is not None:
            e.mul_(chunk.weight[:, t, None, :])
        if self.factored:
            self._gradients_by_factors(x)
        else:
            self._gradients(x)
        if self.bias and chunk.off is not None:
            empty = self._empty_output().mul_(self.scale[:, : self.n, 0])
            self.grad_b.add_(empty.mul_(chunk.off[:, t, None]))
        self._adam(step)
        return losses

    def _outputs(self, x: torch.Tensor) -> None:
        """z = A x."""
        n = self.n
        self.A[:, :n, :n] = torch.bmm(self.W.mT, self.W)
        self.A[:, :n, n] = self.b
        torch.bmm(self.A, x, out=self.z)

    def _gradients(self, x: torch.Tensor) -> None:
        """dL/dW and dL/db from e, through D."""
        n = self.n
        torch.bmm(self.e, x.mT, out=self.D)
        self.D.mul_(self.scale)
        G = self.D[:, :n, :n]
        self.grad_W.copy_(torch.bmm(self.W, G + G.mT))
        if self.bias:
            self.grad_b.copy_(self.D[:, :n, n])

    def _outputs_by_factors(self, x: torch.Tensor) -> None:
        """z = [W; b]' h with h = [W x; 1], the ones below the samples that are there."""
        torch.bmm(self.W, x[:, : self.n], out=self.h[:, : self.d])
        self.h[:, self.d] = x[:, self.n]
        whole = self.theta[:, : self.size].view(-1, self.d + 1, self.n)
        torch.bmm(whole.mT, self.h, out=self.z)

    def _gradients_by_factors(self, x: torch.Tensor) -> None:
        """dL/dW and dL/db from e: through the outputs [h; 1] e', then through h, (W e) x'."""
        d, scale = self.d, self.scale[:, : self.n].mT
        by_row = torch.bmm(self.h, self.e.mT).mul_(scale)
        self.grad_W.copy_(by_row[:, :d])
        if self.bias:
            self.grad_b.copy_(by_row[:, d])
        back = self.h[:, :d]  # h is not needed any more
        torch.bmm(self.W * scale, self.e, out=back)
        self.grad_W.baddbmm_(back, x[:, : self.n].mT)

    def _empty_output(self) -> torch.Tensor:
        """What the models answer to a sample with nothing on, shape (K, n)."""
        return self.b.clamp_min(0.0) if self.relu else self.b.clone()

    def _adam(self, step: int) -> None:
        """Adam (Kingma and Ba 2015, Algorithm 1) with decoupled weight decay."""
        one, two = self.recipe.betas
        rate = learning_rate(self.recipe, step)
        if self.recipe.weight_decay:
            self.theta.mul_(1.0 - rate * self.recipe.weight_decay)
        self.first.mul_(one).add_(self.gradient, alpha=1.0 - one)
        self.second.mul_(two).addcmul_(self.gradient, self.gradient, value=1.0 - two)
        torch.sqrt(self.second, out=self.root)
        self.root.mul_(1.0 / math.sqrt(1.0 - two ** (step + 1))).add_(EPSILON)
        self.theta.addcdiv_(self.first, self.root, value=-rate / (1.0 - one ** (step + 1)))

    def _losses(self, chunk: Chunk, t: int) -> Float:
        """Losses of the batch, shape (K,), model by model: a sum's order must not depend on K."""
        n, square = self.n, self.e * self.e
        if chunk.weight is not None:
            square.mul_(chunk.weight[:, t, None, :])
        if self.device.type == "cpu":
            rows = torch.stack([one.sum(dim=1) for one in square])
        else:
            rows = square.sum(dim=2)
        total = rows[:, :n].double()
        if chunk.off is not None:
            total.add_(self._empty_output().double().square_().mul_(chunk.off[:, t, None]))
        parts = total.mul_(self.importance).cpu().numpy() / self.recipe.batch
        return np.asarray(np.cumsum(parts, axis=1)[:, -1])
