"""``python -m packing``: the console command."""

from packing.cli.app import main

if __name__ == "__main__":
    main()
