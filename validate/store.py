"""The store: what was trained, measured and checked, in one SQLite file that a kill cannot spoil.

A finished batch is one transaction in write-ahead mode, so the file holds all of it or none. A run
is kept once, under its key, whoever trained it first: two processes may share a store, and one that
writes waits for the other. The file says what it is (application_id) and how it is laid out
(user_version); anything else is refused in one sentence.

Tables: session (who trained when, with which versions), run (models, weights as safetensors),
model (the same without the blobs, for reading by hand), verdict (checks), defeat (with weights).

A float64 array comes back bit for bit from safetensors, a number bit for bit from SQLite and from
JSON. The weights alone are one safetensors blob, W (d, n), b (n,) and importance (n,), which
`packing loss` reads as it is; what else a model is made of (its curve, its snapshots, the arrays
measured on it) is a second one.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from packing import __version__
from packing.errors import BadInput
from packing.files import check_target, write_text
from packing.results import plain, render
from packing.types import Float
from validate.experiments import Measured, Model, Recipe, Run, Setting, Trained

Arrays = dict[str, Float]

ARRAYS = ("dimensionality", "angles")
"""Fields of `Measured` that are arrays."""

SCALARS = tuple(f.name for f in fields(Measured) if f.name not in ARRAYS)
"""Fields of `Measured` that are one value; each is a column of the store."""

HELD = ("body", "weights", "extras", "status", "steps", "device", "seconds", *SCALARS)
"""What the store has to hold of a model for `model_from` to build it again."""

_NEVER_NONE = ("simulated", "standard_error", "d_star")  # SQLite holds NaN as NULL

COLUMNS = (
    *("key", "n", "d", "S", "one_minus_S", "law", "importance", "bias", "relu", "joint", "seed"),
    *("status", "steps", "batch", "lr", "dtype", "device", "seconds"),
    *SCALARS,
)
"""Columns of an exported table of runs."""


def to_bytes(arrays: Arrays) -> bytes:
    """Arrays as one safetensors blob; float64, in any memory layout."""
    # safetensors writes the memory as it lies, whatever the strides say.
    return save({k: np.ascontiguousarray(v, dtype=np.float64) for k, v in arrays.items()})


def from_bytes(blob: bytes) -> Arrays:
    """The arrays of a safetensors blob.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        return dict(load(blob))
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def weights_of(trained: Trained) -> bytes:
    """W (d, n), b (n,) and importance (n,) as `packing loss` reads them."""
    arrays = {"W": trained.W, "b": trained.b}
    if trained.run.setting.importance is not None:
        arrays["importance"] = np.array(trained.run.setting.importance)
    return to_bytes(arrays)


def extras_of(trained: Trained, measured: Measured) -> bytes:
    """Everything else in arrays: the curve, the snapshots, what was measured feature by feature."""
    arrays = {"curve": np.asarray(trained.curve, dtype=np.float64).reshape(-1, 2)}
    if trained.snapshots:
        steps, W, b = zip(*trained.snapshots, strict=True)
        arrays["snapshots.step"] = np.array(steps, dtype=np.float64)
        arrays["snapshots.W"] = np.stack(W)
        arrays["snapshots.b"] = np.stack(b)
    for name in ARRAYS:
        arrays[f"measured.{name}"] = getattr(measured, name)
    return to_bytes(arrays)


def run_text(run: Run) -> str:
    """A run as JSON, from which its key can be computed again."""
    return json.dumps(run.body, sort_keys=True)


def run_from(text: str) -> Run:
    """The run that `run_text` wrote."""
    body = json.loads(text)
    return Run(Setting(**body["setting"]), Recipe(**body["recipe"]), body["seed"])


def model_from(row: Sequence[Any]) -> Model:
    """A model and what was measured on it, from what the store holds.

    Parameters
    ----------
    row : sequence
        One value for each of `HELD`.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is damaged.
    """
    text, weights, extras, status, steps, device, seconds, *scalars = row
    held, more = from_bytes(weights), from_bytes(extras)
    snapshots: tuple[tuple[int, Float, Float], ...] = ()
    if "snapshots.step" in more:
        rows = zip(*(more[f"snapshots.{part}"] for part in ("step", "W", "b")), strict=True)
        snapshots = tuple((int(step), W, b) for step, W, b in rows)
    trained = Trained(
        run=run_from(text),
        W=held["W"],
        b=held["b"],
        curve=more["curve"],
        snapshots=snapshots,
        status=status,
        steps=steps,
        device=device,
        seconds=seconds,
    )
    values: dict[str, Any] = dict(zip(SCALARS, scalars, strict=True))
    for name in _NEVER_NONE:
        values[name] = math.nan if values[name] is None else values[name]
    values |= {name: more[f"measured.{name}"] for name in ARRAYS}
    return trained, Measured(**values)


def row_of(trained: Trained, measured: Measured) -> dict[str, Any]:
    """One model as a row of `COLUMNS`; S of each feature, importance and its like as text."""
    run = trained.run
    S = run.setting.S
    held: dict[str, Any] = {"key": run.key, "seed": run.seed}
    for part in (run.setting, run.recipe, trained, measured):
        held |= {f.name: getattr(part, f.name) for f in fields(part) if f.name in COLUMNS}
    held["one_minus_S"] = tuple(1.0 - x for x in S) if isinstance(S, tuple) else 1.0 - S
    for name in ("S", "one_minus_S", "importance"):
        if isinstance(held[name], tuple):
            held[name] = " ".join(repr(x) for x in held[name])
    return {name: held[name] for name in COLUMNS}


# The file.

APPLICATION = 0x46504B56  # "FPKV"
PATIENCE = 60.0
"""Seconds to wait for another process that writes."""

STORE = "store.sqlite"
"""Name of the store in the folder of a report."""

VERSION = 1
_CHUNK = 500  # keys per question; SQLite limits the number of variables

_SCHEMA = f"""
CREATE TABLE session (
    id INTEGER PRIMARY KEY, suite TEXT NOT NULL, suite_hash TEXT NOT NULL, device TEXT NOT NULL,
    versions TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, outcome TEXT);
CREATE TABLE run (
    key TEXT PRIMARY KEY, session INTEGER NOT NULL REFERENCES session (id), body TEXT NOT NULL,
    n INTEGER NOT NULL, d INTEGER NOT NULL, S TEXT NOT NULL, law TEXT NOT NULL,
    joint TEXT NOT NULL, seed INTEGER NOT NULL, status TEXT NOT NULL, steps INTEGER NOT NULL,
    device TEXT NOT NULL, seconds REAL NOT NULL, {", ".join(SCALARS)},
    weights BLOB NOT NULL, extras BLOB NOT NULL);
CREATE VIEW model AS SELECT
    key, session, n, d, S, law, joint, seed, status, steps, device, seconds, {", ".join(SCALARS)}
    FROM run;
CREATE TABLE verdict (
    session INTEGER NOT NULL REFERENCES session (id), place INTEGER NOT NULL, name TEXT NOT NULL,
    verdict TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (session, place));
CREATE TABLE defeat (
    key TEXT NOT NULL, suite_hash TEXT NOT NULL, session INTEGER NOT NULL REFERENCES session (id),
    body TEXT NOT NULL, weights BLOB NOT NULL, PRIMARY KEY (key, suite_hash));
"""


@dataclass(frozen=True)
class Session:
    """One call of the runner on a store.

    Parameters
    ----------
    id : int
    suite, suite_hash : str
        Name of the suite, and a digest of everything its file says.
    device : str
        What trained, by its name.
    versions : dict
        Of python, torch, numpy, scipy and this package.
    started, ended : str or None
        UTC, ISO 8601; ended is None where the process was stopped.
    outcome : str or None
        The verdict it came to.
    """

    id: int
    suite: str
    suite_hash: str
    device: str
    versions: dict[str, str]
    started: str
    ended: str | None
    outcome: str | None


class Store:
    """Trained models and verdicts in one file.

    Parameters
    ----------
    path : path
        The file; its folder must exist.
    write : bool
        Open it for writing, and make it where there is none. Reading alone changes nothing.

    Raises
    ------
    BadInput
        If it is a folder, no store, a store of another version, damaged, missing (for reading), or
        cannot be written; from any method, if the disk is full or the file is in use for a minute.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = True) -> None:
        self.shown = os.fspath(path)
        self.path = Path(path)
        self.write = write
        if self.path.is_dir():
            raise BadInput(f"{self.shown} is a folder: give the file of a store")
        if self.path.exists() and not self.path.is_file():
            raise BadInput(f"{self.shown} is not a regular file: give the file of a store")
        if not self.path.exists() and not write:
            raise BadInput(f"{self.shown} does not exist: give a store that packing validate wrote")
        if not self.path.parent.is_dir():
            raise BadInput(f"{self.shown}: {self.path.parent} is not an existing folder")
        if write and self.path.exists() and not os.access(self.path, os.W_OK):
            raise BadInput(_refusal(self.shown, sqlite3.SQLITE_READONLY, ""))
        with self._told():
            self.db = self._connect()
            try:
                self._recognise()
            except BaseException:
                self.db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the last process to do so folds the write-ahead log into it."""
        self.db.close()

    # Sessions.

    def begin(self, suite: str, suite_hash: str, device: str) -> int:
        """A new session; everything added names it."""
        with self._changing():
            done = self.db.execute(
                "INSERT INTO session (suite, suite_hash, device, versions, started) "
                "VALUES (?, ?, ?, ?, ?)",
                (suite, suite_hash, device, json.dumps(versions()), _now()),
            )
        return int(done.lastrowid or 0)

    def end(self, session: int, outcome: str) -> None:
        """The session came to an end of its own, with that verdict."""
        with self._changing():
            self.db.execute(
                "UPDATE session SET ended = ?, outcome = ? WHERE id = ?", (_now(), outcome, session)
            )

    def sessions(self, suite: str | None = None) -> tuple[Session, ...]:
        """Every session, or those of one suite, in the order they were begun."""
        names = [field.name for field in fields(Session)]
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM session WHERE ?1 IS NULL OR suite = ?1 ORDER BY id",
            (suite,),
        )
        held: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows]
        return tuple(Session(**{**row, "versions": json.loads(row["versions"])}) for row in held)

    # Models.

    def add(self, session: int, models: Sequence[Model]) -> int:
        """Keep a finished batch, all of it or none; how many were new.

        A run that is there already is left as it is: whoever finished it first has written it.
        """
        names = ("key", "session", "n", "d", "S", "law", "joint", "seed", *HELD)
        rows = []
        for trained, measured in models:
            row = row_of(trained, measured)
            row |= {"session": session, "body": run_text(trained.run), "S": str(row["S"])}
            row |= {"weights": weights_of(trained), "extras": extras_of(trained, measured)}
            rows.append(tuple(row[name] for name in names))
        marks = ", ".join("?" * len(names))
        with self._changing():
            before = self.db.total_changes
            self.db.executemany(
                f"INSERT OR IGNORE INTO run ({', '.join(names)}) VALUES ({marks})", rows
            )
            return self.db.total_changes - before

    def keys(self) -> tuple[str, ...]:
        """Keys of every run, in the order they were kept."""
        return tuple(row[0] for row in self._rows("SELECT key FROM run ORDER BY rowid"))

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that are kept."""
        return {row[0] for row in self._chosen("key", keys)}

    def load(self, keys: Iterable[str] | None = None) -> list[Model]:
        """The models of these keys in their order, or all; a key that is not there is left out.

        Raises
        ------
        BadInput
            If what is kept of a run is damaged.
        """
        wanted = list(self.keys() if keys is None else keys)
        found: dict[str, Model] = {}
        for key, *row in self._chosen(", ".join(("key", *HELD)), wanted):
            try:
                model = model_from(row)
                damaged = model[0].run.key != key
            except (ValueError, KeyError, TypeError):
                damaged = True
            if damaged:
                raise BadInput(f"{self.shown} is damaged at run {key}: train into another --out")
            found[key] = model
        return [found[key] for key in wanted if key in found]

    # Verdicts.

    def conclude(
        self,
        session: int,
        checks: Sequence[Mapping[str, Any]],
        defeats: Sequence[tuple[Mapping[str, Any], Trained]] = (),
    ) -> None:
        """Keep what a session concluded: its checks, and each defeat with the weights that won."""
        judged = [
            (session, i, str(c["name"]), str(c["verdict"]), json.dumps(plain(c)))
            for i, c in enumerate(checks)
        ]
        won = [
            (t.run.key, session, json.dumps(plain(body)), weights_of(t), session)
            for body, t in defeats
        ]
        with self._changing():
            self.db.execute("DELETE FROM verdict WHERE session = ?", (session,))
            self.db.executemany("INSERT INTO verdict VALUES (?, ?, ?, ?, ?)", judged)
            self.db.executemany(
                "INSERT OR IGNORE INTO defeat (key, session, body, weights, suite_hash) "
                "VALUES (?, ?, ?, ?, (SELECT suite_hash FROM session WHERE id = ?))",
                won,
            )

    def checks(self, session: int) -> list[dict[str, Any]]:
        """The checks a session concluded with, in their order."""
        asked = "SELECT body FROM verdict WHERE session = ? ORDER BY place"
        return [json.loads(row[0]) for row in self._rows(asked, (session,))]

    def defeats(self) -> list[tuple[dict[str, Any], bytes]]:
        """Every defeat and its weights, a safetensors blob."""
        rows = self._rows("SELECT body, weights FROM defeat ORDER BY rowid")
        return [(json.loads(body), weights) for body, weights in rows]

    # Export.

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write every model to a CSV or JSON file, told by its ending; JSON holds the weights too.

        Raises
        ------
        BadInput
            If the file cannot be written.
        """
        target = check_target(path, "export", (".csv", ".json"))
        models = self.load()
        rows = [row_of(*model) for model in models]
        if target.suffix.lower() == ".csv":
            cells = [[row[name] for name in COLUMNS] for row in rows]
            text = render(COLUMNS, cells, "csv", "trained models")
        else:
            full = [{**r, "W": t.W, "b": t.b} for r, (t, _) in zip(rows, models, strict=True)]
            sessions = [vars(session) for session in self.sessions()]
            text = json.dumps(plain({"sessions": sessions, "models": full}), allow_nan=False) + "\n"
        try:
            write_text(target, text)
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror or error}") from None

    def _chosen(self, names: str, keys: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        wanted = list(keys)
        for i in range(0, len(wanted), _CHUNK):
            some = wanted[i : i + _CHUNK]
            marks = ", ".join("?" * len(some))
            yield from self._rows(f"SELECT {names} FROM run WHERE key IN ({marks})", some)

    def _connect(self) -> sqlite3.Connection:
        if self.write:
            return self._tried("mode=rwc")
        # A reader that may write tidies the log up when it leaves. One that may not needs a log to
        # be there, and in a folder that is read-only too none can be had: nobody writes there.
        ways = ["mode=ro", "immutable=1"]
        if os.access(self.path, os.W_OK) and os.access(self.path.absolute().parent, os.W_OK):
            ways.insert(0, "mode=rw")
        for way in ways[:-1]:
            db = self._tried(way)
            try:
                db.execute("PRAGMA query_only = ON")
                db.execute("SELECT count(*) FROM sqlite_master")
                return db
            except sqlite3.Error as error:
                db.close()
                if not isinstance(error, sqlite3.OperationalError):
                    raise
        return self._tried(ways[-1])

    def _tried(self, how: str) -> sqlite3.Connection:
        place = f"{self.path.absolute().as_uri()}?{how}"
        return sqlite3.connect(place, uri=True, timeout=PATIENCE, isolation_level=None)

    def _recognise(self) -> None:
        if self._layout() == (0, 0, 0) and self.write:
            self._create()
        application, layout, _ = self._layout()
        if application != APPLICATION:
            raise BadInput(
                f"{self.shown} is a SQLite file but no store: give one that packing validate wrote"
            )
        if layout != VERSION:
            raise BadInput(
                f"{self.shown} is a store of version {layout}, this package reads version "
                f"{VERSION}: use the package that wrote it, or train into another --out"
            )
        if self.write:
            self.db.execute("PRAGMA synchronous = FULL")
            self.db.execute("BEGIN IMMEDIATE")  # refused now, not after the first batch
            self.db.execute("ROLLBACK")

    def _layout(self) -> tuple[int, int, int]:
        application, layout, tables = (
            int(self.db.execute(question).fetchone()[0])
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        return application, layout, tables

    def _create(self) -> None:
        """Lay the tables out; of two processes that want to, one does."""
        give_up = time.monotonic() + PATIENCE
        while True:  # SQLite does not wait for others before a change of mode
            try:
                self.db.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
        with self._changing():
            if self._layout() == (0, 0, 0):
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA application_id = {APPLICATION}")
                self.db.execute(f"PRAGMA user_version = {VERSION}")

    def _rows(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._told():
            return self.db.execute(question, values).fetchall()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction: kept whole when the block ends, and not at all otherwise."""
        with self._told():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BadInput(_refusal(self.shown, _code(error), str(error))) from None


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF  # the rest is detail


def _refusal(shown: str, code: int, said: str) -> str:
    why = {
        sqlite3.SQLITE_FULL: "cannot be written: the disk is full; make room, what was finished is "
        "kept",
        sqlite3.SQLITE_READONLY: "cannot be written: it or its folder is read-only; give another "
        "--out",
        sqlite3.SQLITE_CANTOPEN: "cannot be opened: its folder is read-only or gone; give another "
        "--out",
        sqlite3.SQLITE_NOTADB: "is no store: give one that packing validate wrote",
        sqlite3.SQLITE_BUSY: f"has been in use by another process for {PATIENCE:g} s: try again "
        "later",
        sqlite3.SQLITE_CORRUPT: f"is damaged ({said}): train into another --out",
    }
    why[sqlite3.SQLITE_PERM] = why[sqlite3.SQLITE_READONLY]
    return f"{shown} " + why.get(
        code, f"cannot be used ({said}): check the disk, or give another --out"
    )


def versions() -> dict[str, str]:
    """Versions of everything a result depends on; nothing is imported to find them."""
    found = {"python": platform.python_version(), "feature-packing": __version__}
    for name in ("torch", "numba", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
