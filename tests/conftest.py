"""What every test shares: reproducible hypothesis, no user's cache, no threads, no windows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before numpy is imported anywhere: with several workers, threads of the linear algebra library
# only get in each other's way, and sums must not depend on how many there are.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["MPLBACKEND"] = "Agg"

settings.register_profile(
    "house",
    derandomize=True,  # the same examples in every run: a failure can be reproduced
    deadline=None,  # a busy machine is no failure
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own; the user's is never read or written."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("FEATURE_PACKING_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colours and a known width, whatever the terminal that started the tests asks for."""
    for name in ("FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
