"""A worker that kills itself in the middle of a batch. Small, since every worker imports it."""

from __future__ import annotations

import os
import signal
from typing import Any

from validate.parallel import task as real_task

MARK = "SWEEP_MARK"
"""Environment: a file; the first worker that makes it dies, once."""

DEADLY = "SWEEP_DEADLY"
"""Environment: a number of features and a joint law; whoever trains such models dies."""


def dying(number: int, runs: list[Any], *more: Any) -> Any:
    """`validate.parallel.task`, which gets SIGKILL when half of the steps are made."""
    from validate.training import trainer

    train_batch = trainer.train_batch

    def deadly(stage: str, fraction: float) -> None:
        if fraction < 0.5:
            return
        if os.environ.get(DEADLY) == f"{runs[0].setting.n} {runs[0].setting.joint}":
            os.kill(os.getpid(), signal.SIGKILL)
        if MARK in os.environ:
            try:
                os.close(os.open(os.environ[MARK], os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)

    def hooked(runs: Any, **how: Any) -> Any:
        return train_batch(runs, **{**how, "progress": deadly})

    trainer.train_batch = hooked
    try:
        return real_task(number, runs, *more)
    finally:
        trainer.train_batch = train_batch
