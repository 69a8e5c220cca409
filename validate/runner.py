"""The runner: trains what a suite asks for, batch by batch, keeps each at once, judges the whole.

A run's result depends on the run alone (its key seeds it), so it does not matter which process
trained it, in which batch, or how often the work was interrupted: batches that are finished are in
the store, the others are trained, and what is judged is read back from the store.

torch is imported when training begins, so that a missing torch can be told in a sentence.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from packing.errors import BadInput
from packing.results import Result, Table, shown
from packing.types import Telling
from validate.checks import Check, Defeat, Judgement, judge
from validate.experiments import Model, Run
from validate.parallel import Workers, effort, hired, trained_batches
from validate.store import STORE, Session, Store
from validate.suites import Suite, load

# Devices: where a suite trains, how much memory a batch may take, what the device is called.

GPU_MEMORY = 2**33
"""Bytes of a batch on a GPU; more gains nothing for models of this size."""

WORKER_MEMORY = 2**30
"""Bytes of a batch on a CPU beside others, if half of what is free allows it."""


def ready(device: str, backend: str = "none") -> str:
    """The device to train on, "cpu" or "cuda", if it can be had.

    Workers train on CPUs. A GPU is full with one batch, and sums on it depend on the company a
    model trains in, so it is not shared out; several GPUs are several sessions on one store.

    Raises
    ------
    BadInput
        If the name is unknown, torch is not installed, there is no CUDA, or a GPU is asked for
        together with workers.
    """
    if device == "cuda" and backend != "none":
        raise BadInput(
            f"device = 'cuda' trains in one process, and engine backend = {backend!r} in several: "
            "leave out the backend, or give --device cpu"
        )
    if device == "auto" and backend != "none":
        device = "cpu"
    if importlib.util.find_spec("torch") is None:
        raise BadInput(
            "training needs torch, which is not installed: pip install 'feature-packing[validate]'"
        )
    from validate.training.trainer import device_of

    return str(device_of(device).type)


def memory_for(device: str, workers: Workers | None = None) -> int | None:
    """Bytes for a batch; None leaves it to the trainer.

    On a GPU sums depend on the company a model trains in, so an interrupted run must form the same
    batches again. They may not follow the memory that happens to be free, unless it is little.
    On a CPU no result depends on the batch, and workers share what there is.
    """
    if device == "cpu":
        if workers is None:
            return None
        free = _free() // workers.jobs if workers.memory is None else workers.memory
        return min(WORKER_MEMORY, free // 2)
    import torch

    return min(GPU_MEMORY, int(0.6 * torch.cuda.mem_get_info()[0]))


def _free() -> int:
    """Bytes of memory that are free, as far as the system tells."""
    try:
        with open("/proc/meminfo", encoding="ascii") as told:
            found = dict(line.split(":", 1) for line in told)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return WORKER_MEMORY * 8


def device_name(device: str) -> str:
    """What the device is, without saying which machine this is."""
    if device == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({platform.machine()})"


# How far a suite is: models that are done, their loss, and the part of all work that is behind.
#
# Work is estimated from shapes (`validate.parallel.effort`); the time left is made of it. Threads
# that hand out batches tell here too what they found to be finished.


class Teller:
    """How far a suite is: models done, loss, and the fraction of all work that is behind."""

    def __init__(
        self, progress: Telling | None, batches: Sequence[Sequence[Run]], store: Store
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


# What a suite comes to.

VERDICTS = {
    "agree": "every check agrees with the theory",
    "disagree": "a check disagrees with the theory",
    "defeated": "a trained model lies below the predicted optimum",
    "broken": "the negative controls show that the suite would not notice a wrong theory",
    "inconclusive": "no check disagrees, but some could not be decided",
}
"""What a suite comes to, each with its sentence."""


@dataclass(frozen=True, eq=False, repr=False)
class Report(Result):
    """What came of a suite.

    Parameters
    ----------
    suite : Suite
    models : tuple of (Trained, Measured)
        Every model of the suite, in its order.
    judgement : Judgement
        Checks, controls and defeats.
    sessions : tuple of Session
        Every session in which this suite was trained: versions, devices, times.
    store : str
        Name of the file of the models, beside the report: a report does not say where it lies.
    page : str, optional
        Where the report was written, if the one who reads this is to know.
    """

    suite: Suite
    models: tuple[Model, ...]
    judgement: Judgement
    sessions: tuple[Session, ...]
    store: str
    page: str | None = None

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.judgement.checks

    @property
    def defeats(self) -> tuple[Defeat, ...]:
        return self.judgement.defeats

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        return self.judgement.verdict

    @property
    def advice(self) -> str:
        """The verdict as a sentence."""
        if self.verdict == "agree" and not self.checks:
            return "it makes no checks; what it measures is the result"
        return VERDICTS[self.verdict]

    @property
    def device(self) -> str:
        """What trained, by its name; several where sessions differ."""
        return ", ".join(dict.fromkeys(session.device for session in self.sessions))

    @property
    def changed(self) -> bool:
        """Whether the suite's file has changed since its first session."""
        return any(session.suite_hash != self.suite.hash for session in self.sessions)

    @property
    def seconds(self) -> float:
        """Of training, all sessions together."""
        return sum(trained.seconds for trained, _ in self.models)

    def _values(self) -> dict[str, Any]:
        suite, judged, extra = self.suite, self.judgement, self.extra
        values = {
            "suite": suite.name,
            "title": suite.title,
            "hash": suite.hash,
            "changed": self.changed,
            "verdict": self.verdict,
            "advice": self.advice,
            "checks": [check.to_dict() for check in self.checks],
            "broken": list(judged.broken),
            "defeats": [defeat_values(defeat) for defeat in self.defeats],
            "statements": extra.get("statements", []),
            "maps": extra.get("maps", []),
            "models": len(self.models),
            "diverged": self.diverged,
            "compared": judged.compared,
            "predictions": judged.predictions,
            "alpha": judged.alpha,
            "device": self.device,
            "seconds": self.seconds,
            "sessions": [vars(session) for session in self.sessions],
            "store": self.store,
        }
        return values if self.page is None else {**values, "report": self.page}

    def _facts(self) -> list[tuple[str, str]]:
        controls = [one for check in self.checks for one in check.controls]
        powerful = [one for one in controls if one.power]
        rejected = sum(one.rejected for one in powerful)
        diverged = f", {self.diverged} diverged" if self.diverged else ""
        return [
            ("suite", f"{self.suite.name}: {self.suite.title}"),
            ("verdict", f"{self.verdict}: {self.advice}"),
            ("models", f"{len(self.models)} trained on {self.device}{diverged}"),
            (
                "defeats",
                f"{len(self.defeats)} of {self.judgement.compared} models "
                f"against {self.judgement.predictions} predictions",
            ),
            (
                "controls",
                f"{rejected} of {len(powerful)} rejected; {len(controls) - len(powerful)} more "
                "are without power",
            ),
            *(("broken", sentence) for sentence in self.judgement.broken),
        ]

    def _tables(self) -> list[Table]:
        found = [_table_of_checks(self.checks)] if self.checks else []
        for one in self.suite.extensions:
            found += one.shown(self.extra[f"{one.table}s"])
        if self.defeats:
            columns = ["n", "d", "S", "one_minus_S", "law", "seed", "loss", "predicted"]
            values = [defeat_values(defeat) for defeat in self.defeats]
            rows = [[_text(one[name]) for name in columns] for one in values]
            title = "Defeats: models below the predicted optimum"
            found.append(Table(title, columns, rows))
        return found

    @property
    def diverged(self) -> int:
        """Models whose loss was not finite at some step."""
        return sum(trained.status == "diverged" for trained, _ in self.models)

    @cached_property
    def extra(self) -> dict[str, list[dict[str, Any]]]:
        """What came of the tables of the suite's extensions, as JSON values."""
        found = self.judgement.extra
        return {f"{one.table}s": one.values(found[one.table]) for one in self.suite.extensions}


def defeat_values(defeat: Defeat) -> dict[str, Any]:
    """A defeat without its model, as JSON values."""
    run = defeat.model[0].run
    setting = {name: value for name, value in asdict(run.setting).items() if value is not None}
    S = run.setting.S
    return {
        "key": defeat.key,
        **setting,
        "one_minus_S": 1.0 - run.setting.features.S if isinstance(S, tuple) else 1.0 - S,
        "seed": run.seed,
        "loss": defeat.loss,
        "error_bound": defeat.error_bound,
        "predicted": defeat.predicted,
        "rounding": defeat.rounding,
    }


def _table_of_checks(checks: Sequence[Check]) -> Table:
    rows = [
        [c.name, c.predicted, c.measured, _interval(c.interval), c.tolerance, c.verdict]
        for c in checks
    ]
    return Table(
        "Checks (all intervals hold together with 99%)",
        ["check", "predicted", "measured", "interval", "tolerance", "verdict"],
        rows,
        {"predicted": 6, "measured": 6, "tolerance": 3},
    )


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.6g} to {ends[1]:.6g}"


def _text(value: Any) -> Any:
    """A value as a cell: one per feature as text."""
    return ",".join(map(shown, value)) if isinstance(value, (tuple, np.ndarray)) else value


def run_suite(
    suite: Suite | str | Path,
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    engine: str = "auto",
    backend: str = "none",
    jobs: int | None = None,
    resume: bool = False,
    progress: Telling | None = None,
) -> Report:
    """Train the models of a suite, measure them, and compare them with the theory.

    Each finished batch is kept in a store at once, so that a process that is stopped loses the
    batch in flight at most; resuming it leads to the result of an uninterrupted run.

    Parameters
    ----------
    suite : Suite, str or path
        What is trained and checked: a suite, its name, or a TOML file (`validate.suites.load`).
    out : path, optional
        Folder of the store, ``validation-SUITE`` unless given; made if it is missing.
    device : {"auto", "cpu", "cuda"}
        Where to train; auto takes CUDA where there is one and no backend is given.
    engine : {"auto", "torch", "numba", "cuda"}
        What does the arithmetic (`validate.train`).
    backend : {"none", "loky", "dask", "ray"}
        Who trains: this process, or workers (`validate.parallel.hired`); ``dask:ADDRESS`` is a
        cluster that runs already. The result does not depend on it.
    jobs : int, optional
        Batches that train at a time; as many as there are cores, or threads of the cluster.
    resume : bool
        Go on with a store that holds models; those of this suite are not trained again.
    progress : callable, optional
        ``progress(stage, fraction, detail)``.

    Returns
    -------
    Report

    Raises
    ------
    BadInput
        If there is no such suite, torch, the device, the engine or the backend is missing, the
        folder or the store cannot be used, the store holds models and resume is false, or there is
        no store to resume.
    NotReached
        If batches cannot be trained for want of memory; everything else is trained and kept.
    """
    suite = suite if isinstance(suite, Suite) else load(suite)
    out = f"validation-{suite.name}" if out is None else out
    where = ready(device, backend)
    from validate.training.trainer import batches  # torch is there now

    with ExitStack() as using:
        with hired(backend, jobs) as workers:
            # A model too large, or a cluster that is not there, is refused before a file is made.
            room = memory_for(where, workers)
            parts = batches(suite.runs, device=where, engine=engine, memory=room)
            store = using.enter_context(_opened(Path(out), suite, resume))
            session = store.begin(suite.name, suite.hash, device_name(where))
            train_missing(store, session, parts, where, progress, engine=engine, workers=workers)
        models = tuple(store.load([run.key for run in suite.runs]))
        judgement = judge(suite, models, progress)
        store.conclude(
            session,
            [asdict(check) for check in judgement.checks],
            [(defeat_values(defeat), defeat.model[0]) for defeat in judgement.defeats],
        )
        store.end(session, judgement.verdict)
        return Report(
            suite=suite,
            models=models,
            judgement=judgement,
            sessions=store.sessions(suite.name),
            store=STORE,
        )


def train_missing(
    store: Store,
    session: int,
    batches: Sequence[Sequence[Run]],
    device: str,
    progress: Telling | None = None,
    *,
    engine: str = "auto",
    workers: Workers | None = None,
) -> None:
    """Train the runs that the store does not hold; each batch is kept as soon as it is measured.

    Batches are formed of all runs of a suite, so that after an interruption they are the same ones;
    before each, the store is asked again, since another process may have finished it. Every other
    session goes through them backwards: two processes on one store then meet in the middle.
    """
    tell = Teller(progress, batches, store)
    ask = store.finished if workers is None else partial(_asked, store)

    def finished(keys: Iterable[str]) -> set[str]:
        held = ask(keys)
        tell.keep(held)
        return held

    tell.inside()
    for models in trained_batches(
        batches,
        device=device,
        engine=engine,
        workers=workers,
        finished=finished,
        backwards=session % 2 == 0,
        progress=tell.inside,
    ):
        store.add(session, models)
        tell.end(models)
    tell.inside()


def _asked(store: Store, keys: Iterable[str]) -> set[str]:
    """Which keys are kept, asked by a thread that did not open the store."""
    try:
        with Store(store.path, write=False) as reading:
            return reading.finished(keys)
    except BadInput:  # whoever writes will meet it too, and say so
        return set()


def _opened(folder: Path, suite: Suite, resume: bool) -> Store:
    """The store of a folder, if this suite may be trained into it."""
    path = folder / STORE
    if resume and not path.exists():
        raise BadInput(f"{path} does not exist: leave out --resume to begin, or give another --out")
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"--out {folder} cannot be made: {reason}; give another folder") from None
    try:
        store = Store(path)
    except BadInput:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise
    held = len(store.keys())
    if held and not resume:
        mine = len(store.finished(run.key for run in suite.runs))
        store.close()
        raise BadInput(
            f"{path} holds {held} models already, {mine} of the {len(suite.runs)} of {suite.name} "
            "among them: give --resume to go on with it, or another --out"
        )
    return store
