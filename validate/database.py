"""The file of a store: an SQLite database that says what it is, and refuses in one sentence.

application_id tells our files from others, user_version one layout from another. A change is one
transaction in write-ahead mode: after a kill the file holds all of it or none. Two processes may
write; one waits for the other.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from packing.errors import BadInput

APPLICATION = 0x46504B56  # "FPKV"
PATIENCE = 60.0  # seconds to wait for another process that writes


class Database:
    """A file with the tables of one layout.

    Parameters
    ----------
    path : path
        The file; its folder must exist.
    schema : str
        The statements that make the tables, with semicolons between them.
    version : int
        Number of the layout.
    write : bool
        Open it for writing, and make it where there is none. Reading alone changes nothing.

    Raises
    ------
    BadInput
        If it is a folder, not ours, of another version, damaged, missing (for reading), or cannot
        be written; from any method, if the disk is full or the file is in use for a minute.
    """

    def __init__(
        self, path: str | os.PathLike[str], schema: str, version: int, *, write: bool = True
    ) -> None:
        self.shown = os.fspath(path)
        self.path = Path(path)
        self.schema, self.version, self.write = schema, version, write
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the last process to do so folds the write-ahead log into it."""
        self.db.close()

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
        if layout != self.version:
            raise BadInput(
                f"{self.shown} is a store of version {layout}, this package reads version "
                f"{self.version}: use the package that wrote it, or train into another --out"
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
                for statement in filter(str.strip, self.schema.split(";")):
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA application_id = {APPLICATION}")
                self.db.execute(f"PRAGMA user_version = {self.version}")

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
    if code == sqlite3.SQLITE_FULL:
        return f"{shown} cannot be written: the disk is full; make room, what was finished is kept"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return f"{shown} cannot be written: it or its folder is read-only; give another --out"
    if code == sqlite3.SQLITE_CANTOPEN:
        return f"{shown} cannot be opened: its folder is read-only or gone; give another --out"
    if code == sqlite3.SQLITE_NOTADB:
        return f"{shown} is no store: give one that packing validate wrote"
    if code == sqlite3.SQLITE_BUSY:
        return f"{shown} has been in use by another process for {PATIENCE:g} s: try again later"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"{shown} is damaged ({said}): train into another --out"
    return f"{shown} cannot be used ({said}): check the disk, or give another --out"
