"""``python -m packing``: the console command."""

from __future__ import annotations

from packing.cli.app import main

if __name__ == "__main__":
    main()
