"""How far a suite is: models that are done, their loss, and the part of all work that is behind.

Work is estimated from shapes (`validate.sweep.effort`); the time left is made of it. Threads that
hand out batches tell here too what they found to be finished.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from validate.runs import Run
from validate.store import Model, Store
from validate.sweep import effort

Progress = Callable[..., None]
"""``progress(stage, fraction, detail)``: a stage's name, how much of it is done, a word on it."""


class Teller:
    """How far a suite is: models done, loss, and the fraction of all work that is behind."""

    def __init__(
        self, progress: Progress | None, batches: Sequence[Sequence[Run]], store: Store
    ) -> None:
        self.progress = progress
        self.effort = {run.key: effort(run) for batch in batches for run in batch}
        self.total = sum(self.effort.values()) or 1.0
        self.done: set[str] = set()
        self.behind = 0.0
        self.loss = ""
        self.lock = threading.Lock()
        self.keep(store.finished(self.effort))

    def keep(self, keys: Iterable[str]) -> None:
        """Some models are done; asked and told by several threads."""
        with self.lock:
            new = set(keys) - self.done
            self.done |= new
            self.behind += sum(self.effort[key] for key in new)

    def inside(
        self, stage: str = "training", fraction: float = 0.0, runs: Sequence[Run] = ()
    ) -> None:
        """Tell how far it is, with a fraction of some runs beside what is done."""
        if self.progress is None:
            return
        behind = self.behind + fraction * sum(self.effort[run.key] for run in runs)
        said = f"{len(self.done)} of {len(self.effort)} models{self.loss}"
        self.progress("training", min(behind / self.total, 1.0), said)

    def end(self, models: Sequence[Model]) -> None:
        """Some models are kept."""
        self.keep(trained.run.key for trained, _ in models)
        losses = [m.simulated if m.loss is None else m.loss for _, m in models]
        self.loss = f", loss {min(losses):.4g}"
        self.inside()
