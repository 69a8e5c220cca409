"""Files that are written whole or not at all, and are known to be writable before any work starts.

Everything the project writes (weights, pictures, cache entries) goes through ``replacing``: a
temporary file in the same folder, then one atomic rename.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from packing.errors import BadInput

_unfinished: set[Path] = set()  # temporary files that an interruption has to take away


def check_target(path: str | os.PathLike[str], what: str, suffixes: tuple[str, ...]) -> Path:
    """The path, if a file can be written there; nothing is left behind.

    Parameters
    ----------
    path : path
        Where the file is to be written. A symbolic link is followed.
    what : str
        The option that named it, for the message.
    suffixes : tuple of str
        Accepted endings, lower case, with the dot.

    Raises
    ------
    BadInput
        If the ending is unknown, the folder is missing or not writable, or the path is a folder, a
        device or a file that is write-protected.
    """
    shown = f"{what} {os.fspath(path)}"
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise BadInput(f"{shown} is a folder: give the name of a file")
    if Path(path).suffix.lower() not in suffixes:
        raise BadInput(f"{shown} has no known ending: use one of {', '.join(suffixes)}")
    if not target.parent.is_dir():
        raise BadInput(f"{shown} cannot be written: {target.parent} is not an existing folder")
    if target.exists():
        # A rename would turn a device into a plain file, and ignore a write protection.
        if not stat.S_ISREG(target.stat().st_mode):
            raise BadInput(f"{shown} is not a regular file: give the name of a file")
        if not os.access(target, os.W_OK):
            raise BadInput(f"{shown} is write-protected: give another name or change its mode")
    try:
        with replacing(target, keep=False) as probe:
            probe.touch()
    except OSError as error:
        raise BadInput(f"{shown} cannot be written: {_reason(error)} in {target.parent}") from None
    return target


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, keep: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed to it when the block ends without an exception.

    The temporary name has the same suffix, since picture formats are told by it.
    """
    target = Path(os.path.realpath(path))
    # The name of the target is left out: it may already be as long as a name can be.
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp{target.suffix}"
    _unfinished.add(temporary)
    try:
        yield temporary
        if keep:
            if target.exists():
                with contextlib.suppress(OSError):
                    temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        _unfinished.discard(temporary)


def remove_unfinished() -> None:
    """Take away the temporary files of writes that will not end; called on an interruption."""
    for temporary in tuple(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
