"""The commands of the theory: loss, optimal, critical, phases and most tables."""

from __future__ import annotations
