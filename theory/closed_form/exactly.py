"""Elements of a real number field as numbers one can add, multiply and compare; exact."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from theory.closed_form.field import Element, Field


@dataclass(frozen=True, eq=False)
class Exact:
    """An element of a field that behaves as a number; other operands are rational."""

    field: Field
    element: Element

    def __add__(self, other: Any) -> Exact:
        if isinstance(other, Exact):
            pairs = zip(self.element, other.element, strict=True)
            return Exact(self.field, tuple(a + b for a, b in pairs))
        return Exact(self.field, (self.element[0] + other, *self.element[1:]))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Exact:
        if isinstance(other, Exact):
            return Exact(self.field, self.field.product(self.element, other.element))
        return Exact(self.field, tuple(a * other for a in self.element))

    __rmul__ = __mul__

    def __truediv__(self, other: Fraction | int) -> Exact:
        return self * (Fraction(1) / other)

    def __sub__(self, other: Any) -> Exact:
        return self + other * -1

    def sign(self) -> int:
        """-1, 0 or 1, decided in balls."""
        import flint

        if not any(self.element):
            return 0
        bits = 128
        while True:
            with flint.ctx.workprec(bits):
                value = self.field.ball(self.element)
            if not value.contains(0):
                return 1 if value > 0 else -1
            bits *= 2

    def __lt__(self, other: Any) -> bool:
        return (self - other).sign() < 0

    def __gt__(self, other: Any) -> bool:
        return (self - other).sign() > 0
