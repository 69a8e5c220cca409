"""Experiments whose outcome is a page of docs, not a feature; run from the repository."""

from __future__ import annotations
