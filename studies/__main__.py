"""Run a study: `python -m studies SUITE`, with the options of `packing validate`."""

from __future__ import annotations

import sys

from packing.cli.app import exit_on_interrupt, table
from studies import registry

if __name__ == "__main__":
    exit_on_interrupt()
    table.main(["validate", *sys.argv[1:]], prog_name="python -m studies", obj=registry)
