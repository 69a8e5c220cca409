"""The store: what was trained, measured and checked, in one SQLite file that a kill cannot spoil.

A finished batch is one transaction in write-ahead mode, so the file holds all of it or none. A run
is kept once, under its key, whoever trained it first: two processes may share a store. The file
says what it is (application_id) and how it is laid out (user_version); anything else is refused.

Tables: session (who trained when, with which versions), run (models, weights as safetensors),
model (the same without the blobs, for reading by hand), verdict (checks), defeat (with weights).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from packing import __version__
from packing.cli import plain
from packing.errors import BadInput
from validate.database import Database
from validate.encode import (
    COLUMNS,
    HELD,
    SCALARS,
    extras_of,
    model_from,
    row_of,
    run_text,
    weights_of,
)
from validate.runs import Measured, Trained

VERSION = 1
_CHUNK = 500  # keys per question; SQLite limits the number of variables

Model = tuple[Trained, Measured]

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


class Store(Database):
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
        super().__init__(path, _SCHEMA, VERSION, write=write)

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
        from packing.files import check_target, write_text
        from packing.tables import render

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
