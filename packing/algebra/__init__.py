"""Exact numbers: number fields, roots of polynomials, what digits stand for, zonal polynomials."""

from __future__ import annotations
