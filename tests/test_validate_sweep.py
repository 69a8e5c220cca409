"""Sweeps: workers of loky and Dask, killed on the way, change nothing in the result.

Workers die of SIGKILL in the middle of a batch (tests/dying.py), once or whenever they meet certain
models. Nothing listens beyond the loopback.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import refused
from dying import DEADLY, MARK, dying, real_task
from test_validate_run import MANY, TINY, alike, kept_keys

from packing.errors import BadInput, NotReached
from validate import parallel as sweep
from validate.experiments import Recipe, Run, Setting
from validate.parallel import (
    BACKENDS,
    LIVES,
    Workers,
    checked,
    differs,
    effort,
    hired,
    out_of_memory,
    pieces,
    predicted,
    trained_batches,
    work,
)
from validate.runner import STORE, WORKER_MEMORY, Report, memory_for, run_suite
from validate.store import Store, versions
from validate.suites import parse

pytest.importorskip("torch")
pytest.importorskip("joblib", reason="sweeps need joblib: pip install 'feature-packing[validate]'")

ROOT = Path(__file__).resolve().parent.parent

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None,
    reason="needs Dask: pip install 'feature-packing[dask]'",
)
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one process makes of the suite."""
    return run_suite(parse(MANY, "many"), out=tmp_path_factory.mktemp("calm"), engine="torch")


def processes(group: int | None = None) -> list[str]:
    """What is alive of this process's children, or of a group, trackers of semaphores aside."""
    asked = ["ps", "-wweo", "pgid=,ppid=,stat=,args="]
    found = subprocess.run(asked, capture_output=True, text=True, check=True)
    lines = [line.split(None, 3) for line in found.stdout.splitlines()]
    return [
        words
        for pgid, parent, state, words in lines
        if (int(parent) == os.getpid() if group is None else int(pgid) == group)
        and state[0] != "Z"
        and words != " ".join(asked)
        and (group is not None or "tracker" not in words)
    ]


def left(group: int | None = None, patience: float = 20.0) -> list[str]:
    """What is still alive after a while."""
    give_up = time.monotonic() + patience
    while (found := processes(group)) and time.monotonic() < give_up:
        time.sleep(0.05)
    return found


# Workers, and a worker lost.


@posix
def test_a_killed_worker_of_loky_changes_nothing(
    reference: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "died"  # in the folder of the report: a run does not mind
    monkeypatch.setenv(MARK, str(mark))
    monkeypatch.setattr(sweep, "task", dying)
    told: list[tuple[str, float, str]] = []
    report = run_suite(
        parse(MANY, "many"),
        out=tmp_path,
        engine="torch",
        backend="loky",
        jobs=2,
        progress=lambda *words: told.append(words),  # type: ignore[arg-type]
    )
    assert mark.exists()  # one worker did die
    assert alike(report, reference)
    training = [(fraction, said) for stage, fraction, said in told if stage == "training"]
    assert [x for x, _ in training] == sorted(x for x, _ in training)
    assert training[0] == (0.0, "0 of 46 models") and training[-1][0] == pytest.approx(1.0)
    assert training[-1][1].startswith("46 of 46 models, loss ") and len(training) > 5
    assert left() == []  # no worker is left behind


@posix
@needs_dask
def test_killed_workers_of_dask_change_nothing(
    reference: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dies once, and one batch kills whoever gets it: that one is a sentence, all else kept."""
    mark = tmp_path / "died"
    monkeypatch.setenv(MARK, str(mark))
    monkeypatch.setenv(DEADLY, "6 one-on")
    monkeypatch.setattr(sweep, "LIVES", 2)  # one life less: each costs a start of PyTorch
    monkeypatch.setattr(sweep, "task", dying)
    suite = parse(MANY, "many")
    with pytest.raises(NotReached) as error:
        run_suite(suite, out=tmp_path, engine="torch", backend="dask", jobs=2)
    said = str(error.value)
    assert mark.exists() and left() == []
    assert "3 models of n = 6, d = 6, batch = 64 took its worker down again and again" in said
    assert "MiB" in said and "--jobs" in said and "\n" not in said
    lost = {run.key for run in suite.runs} - kept_keys(tmp_path)
    assert lost == {r.key for r in suite.runs if (r.setting.n, r.setting.joint) == (6, "one-on")}
    assert alike(run_suite(suite, out=tmp_path, engine="torch", resume=True), reference)


# The parent, lost or interrupted. These run the command.


def command(folder: Path, *words: str, **how: Any) -> subprocess.Popen[str]:
    """`packing validate many.toml`, saying every batch on standard error."""
    (folder / "many.toml").write_text(SLOW, encoding="utf-8")
    code = (
        "import sys\n"
        "from packing.cli.app import exit_on_interrupt, main\n"
        "if __name__ == '__main__':\n"
        "    exit_on_interrupt()\n"
        "    import validate.cli; validate.cli.LINE_EVERY = 0.0\n"
        "    main(sys.argv[1:])\n"
    )
    (folder / "main.py").write_text(code, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", "main.py", "validate", "many.toml", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: (os.setsid(), signal.signal(signal.SIGINT, signal.SIG_DFL)),
        **how,
    )


# The same models, and one batch that is still under way when the others are done.
SLOW = (
    MANY
    + '\n[[cell]]\nname = "slow"\nn = 7\nd = 2\nS = 0.2\nruns = 1\n'
    + ("recipe = { steps = 1000000, batch = 512 }\n")
)


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_parent_is_stopped(how: signal.Signals, reference: Report, tmp_path: Path) -> None:
    """Killed, or interrupted as a terminal does it (all of its processes are): nothing is lost."""
    process = command(tmp_path, "--engine-backend", "loky", "--jobs", "2", "--engine", "torch")
    assert process.stderr is not None
    for line in process.stderr:
        found = re.match(r"many: training, (\d+) of 47 models", line)
        if found and int(found[1]) >= 20:
            break
    if how == signal.SIGKILL:
        os.kill(process.pid, how)
    else:
        os.killpg(process.pid, how)
    out, err = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), err
    if how == signal.SIGINT:
        assert out == "" and err.endswith("packing: interrupted\n") and "Traceback" not in err
    assert left(process.pid) == []
    folder = tmp_path / "validation-many"
    held = kept_keys(folder)
    assert len(held) >= 20
    again = run_suite(parse(MANY, "many"), out=folder, resume=True, engine="torch")
    assert alike(again, reference)


def test_two_sweeps_on_one_store(reference: Report, tmp_path: Path) -> None:
    """They share: each asks what the other has finished, and goes from the other end."""
    out = tmp_path / "shared"
    suite = parse(MANY, "many")
    with Store(make(out) / STORE) as other:
        session = other.begin("many", suite.hash, "cpu")
        models = list(reference.models)
        handed: list[int] = []

        def meanwhile(stage: str, fraction: float, said: str) -> None:
            # Another sweep finishes a few models whenever this one has told something.
            if stage == "training" and models:
                handed.append(
                    other.add(session, [models.pop() for _ in range(min(3, len(models)))])
                )

        report = run_suite(suite, out=out, engine="torch", resume=True, progress=meanwhile)
    assert alike(report, reference)
    assert 3 < sum(handed) < 46  # both did some, none of it twice into the store


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


# What is handed out, to whom the blame goes. Workers without processes.


class Lost(Exception):
    """All workers died."""


class Pretended(Workers):
    """Tasks are done here; some kill everyone, some lack memory."""

    def __init__(self, jobs: int, deadly: Callable[[list[Run]], str]) -> None:
        super().__init__("loky", jobs, deaths=(Lost,))
        self.deadly = deadly
        self.rounds: list[list[int]] = []

    def answers(self, tasks: Iterable[Any]) -> Iterator[Any]:  # type: ignore[override]
        self.rounds.append([])
        queue, ended = iter(tasks), False
        waiting: list[tuple[int, list[Run]]] = []
        while True:
            while not ended and len(waiting) < self.jobs:
                found = next(queue, None)
                ended = found is None
                if found is not None:
                    number, runs = found[1][:2]
                    self.rounds[-1].append(number)
                    waiting.append((number, runs))
            if not waiting:
                return
            fate = [self.deadly(runs) for _, runs in waiting]
            if "kills" in fate:
                raise Lost("killed")
            number, runs = waiting.pop(0)
            if fate[0] == "memory":
                yield number, MemoryError("all gone")
            elif fate[0] == "gone":
                raise ConnectionError("no route")
            else:
                yield number, [(run, None) for run in runs]  # type: ignore[misc]


def runs(n: int, count: int, **how: Any) -> list[Run]:
    return [Run(Setting(n, 1, 0.3), Recipe(10, **how), seed) for seed in range(count)]


def swept(workers: Workers, batches: list[list[Run]], **how: Any) -> tuple[list[int], str]:
    """Features of the batches that came back, and what was said at the end."""
    found = []
    try:
        for models in trained_batches(
            batches, device="cpu", engine="torch", workers=workers, **how
        ):
            found.append(models[0][0].setting.n)  # type: ignore[attr-defined]
    except NotReached as error:
        return sorted(found), str(error)
    return sorted(found), ""


def test_blame_falls_on_the_batch_that_kills() -> None:
    batches = [runs(n, 1) for n in range(2, 12)]
    calm = Pretended(3, lambda runs: "")
    assert swept(calm, batches) == (list(range(2, 12)), "") and len(calm.rounds) == 1
    always = Pretended(3, lambda runs: "kills" if runs[0].setting.n == 9 else "")
    found, said = swept(always, batches)
    assert found == [n for n in range(2, 12) if n != 9]
    assert "1 models of n = 9" in said and "more" not in said.split("took")[0]
    assert "MiB" in said and "took its worker down again and again" in said
    # Twice in company, then its two neighbours and it alone: nobody else is blamed.
    assert sum(len(set(part)) > 1 for part in always.rounds) <= COMPANY_ROUNDS
    assert Counter(i for part in always.rounds for i in part).most_common(1)[0][1] == LIVES


COMPANY_ROUNDS = 3


def test_who_kills_once_or_twice_is_forgiven() -> None:
    for times in (1, 2):
        left = [times]

        def deadly(runs: list[Run], left: list[int] = left) -> str:
            if runs[0].setting.n == 4 and left[0]:
                left[0] -= 1
                return "kills"
            return ""

        assert swept(Pretended(2, deadly), [runs(n, 2) for n in (2, 3, 4, 5)]) == ([2, 3, 4, 5], "")
        assert left == [0]


def test_many_that_kill_are_counted() -> None:
    batches = [runs(n, 1) for n in range(2, 8)]
    found, said = swept(Pretended(2, lambda r: "kills" if r[0].setting.n > 4 else ""), batches)
    assert found == [2, 3, 4] and "(and 2 batches more)" in said


def test_memory_that_runs_out_in_a_worker() -> None:
    batches = [runs(n, 1, batch=4096) for n in (2, 3, 4)]
    seen = Counter[int]()

    def deadly(runs: list[Run]) -> str:
        seen[runs[0].setting.n] += 1
        return "memory" if runs[0].setting.n == 3 and (always or seen[3] == 1) else ""

    always = False
    assert swept(Pretended(2, deadly), batches) == ([2, 3, 4], "")
    always = True
    found, said = swept(Pretended(2, deadly), batches)
    assert found == [2, 4] and "n = 3, d = 1, batch = 4096 needs more memory than there is" in said


def test_a_cluster_that_is_gone() -> None:
    found, said = swept(Pretended(1, lambda r: "gone" if r[0].setting.n == 3 else ""), [runs(3, 1)])
    assert not found and "--resume" in said and "no longer answers" in said


def test_what_is_finished_is_not_handed_out() -> None:
    batches = [runs(2, 8), runs(3, 8)]
    held = {run.key for run in batches[0]} | {batches[1][0].key}
    workers = Pretended(1, lambda runs: "")
    parts = list(
        trained_batches(
            batches,
            device="cpu",
            engine="torch",
            workers=workers,
            finished=lambda keys: held & set(keys),
        )
    )
    assert [len(part) for part in parts] == [7]
    assert trained_keys(parts) == {run.key for run in batches[1][1:]}


def trained_keys(parts: list[Any]) -> set[str]:
    return {run.key for part in parts for run, _ in part}


def test_pieces_cover_all_and_are_worth_it() -> None:
    small, large = runs(2, 100, batch=1024), runs(9, 3, batch=2**17)
    for jobs in (1, 2, 16, 1000):
        found = pieces([small, large], jobs)
        assert sorted(run.key for part in found for run in part) == sorted(
            run.key for run in small + large
        )
        total = [sum(map(effort, part)) for part in found]
        assert total == sorted(total, reverse=True)
        for part in found:
            assert 2 * work(part[0]) * len(part) > sweep.WORTH  # even parts: not quite as asked
    assert len(pieces([runs(2, 3000, batch=1024)], 8)) == 8 * sweep.SHARES
    assert len(pieces([large], 1000)) == 3  # a model each
    assert len(pieces([small], 1000)) < 10


def test_memory_is_shared_by_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("validate.runner._free", lambda: 2**32)
    assert memory_for("cpu", Workers("loky", 1)) == WORKER_MEMORY
    assert memory_for("cpu", Workers("loky", 16)) == 2**27
    assert memory_for("cpu", Workers("dask", 1000, memory=2**30)) == 2**29
    monkeypatch.undo()
    assert 2**20 < (memory_for("cpu", Workers("loky", 1)) or 0) <= WORKER_MEMORY


def test_predicted_memory_grows() -> None:
    few, many = (predicted(runs(50, count, batch=2048), "cpu", "torch") for count in (1, 4))
    assert few is not None and many is not None and 2**20 < few < many


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_errors_that_mean_memory(error: Exception, is_memory: bool) -> None:
    assert out_of_memory(error) == is_memory


def test_memory_that_runs_out_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's own error of a real allocation, in this process: what is finished is kept."""
    import torch

    from validate.training import trainer

    train_batch: Callable[..., Any] = trainer.train_batch

    def greedy(runs: Any, **how: Any) -> Any:
        if runs[0].setting.n == 6:
            torch.empty(2**60, dtype=torch.uint8)
        return train_batch(runs, **how)

    monkeypatch.setattr(trainer, "train_batch", greedy)
    with pytest.raises(NotReached, match=r"n = 6, .* needs more memory than there is"):
        run_suite(parse(MANY, "many"), out=tmp_path, device="cpu")
    assert len(kept_keys(tmp_path)) >= 16
    number, answer = real_task(7, runs(6, 1), "cpu", "torch", versions())
    assert number == 7 and isinstance(answer, MemoryError)


# Bad input.


def test_a_worker_of_other_versions() -> None:
    assert differs(versions()) == ""
    assert "numpy is " in differs({**versions(), "numpy": "1.0"})
    with pytest.raises(BadInput, match=r"numpy is .*, not 1\.0; install the same"):
        real_task(0, runs(2, 1), "cpu", "torch", {**versions(), "numpy": "1.0"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--engine-backend slurm", "engine backend = 'slurm' is unknown: give one of none, loky"),
        ("--engine-backend loky:here", "loky has no address"),
        ("--engine-backend none:here", "none has no address"),
        ("--engine-backend dask:", "names no address: give one, or leave out the colon"),
        ("--engine-backend dask:garbage", "neither a scheduler's file nor an address"),
        ("--engine-backend loky --jobs 0", "jobs = 0"),
        ("--engine-backend loky --jobs -3", "jobs = -3"),
        ("--jobs 2", "jobs = 2 needs worker processes: add --engine-backend loky"),
        ("--engine-backend loky --jobs many", "many"),
        ("--engine-backend loky --device cuda", "leave out the backend, or give --device cpu"),
        ("--engine nonsense", "engine = 'nonsense' is unknown"),
        ("--engine-backend dask:none.json", "scheduler file none.json does not exist"),
        ("--engine-backend dask:tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1"),
        ("--engine-backend dask:nonsense://x", "no Dask scheduler answers at nonsense://x"),
    ],
)
def test_bad_input_is_one_line(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "dask" in line:
        pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sweep, "PATIENCE", 0.2)
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    assert said in refused(f"validate tiny.toml {line}")
    assert os.listdir(tmp_path) == ["tiny.toml"]


@pytest.mark.parametrize("name", list(BACKENDS)[1:])
def test_a_backend_that_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(BadInput, match=r"needs joblib, .* pip install 'feature-packing\["):
        checked(name, None)


@needs_dask
def test_clusters_that_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(sweep, "FIRST_WORKER", 0.3)

    def refusal(**how: Any) -> str:
        local = {"host": "127.0.0.1", "protocol": "tcp", "dashboard_address": None}
        with LocalCluster(processes=False, silence_logs=50, **local, **how) as cluster:  # type: ignore[no-untyped-call]
            try:
                with hired(f"dask:{cluster.scheduler_address}") as workers:
                    return f"{workers and workers.jobs} jobs"
            except BadInput as error:
                return str(error)

    assert "has no workers after 0.3 s" in refusal(n_workers=0)
    assert "2 threads" in refusal(n_workers=1, threads_per_worker=2)
    assert refusal(n_workers=3, threads_per_worker=1) == "3 jobs"
    monkeypatch.setattr(sweep, "differs", lambda expected: "torch is 1, not 2")
    assert "torch is" in refusal(n_workers=1, threads_per_worker=1)


def test_nothing_to_carry() -> None:
    with hired("none") as workers:
        assert workers is None
    with hired("none", 1) as workers:
        assert workers is None
    assert replace(runs(2, 1)[0], seed=3).seed == 3
