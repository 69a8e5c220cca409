"""The command line: what every room shares, and the commands of the geometry."""

from __future__ import annotations
