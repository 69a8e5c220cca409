"""Sixteen numbers at a time: the vector arithmetic that the compiled kernels are written in.

numba vectorises only loops it can prove free of aliases, which a kernel on shared scratch never is.
So a vector of sixteen numbers is a type of its own here, kept in registers by the compiler, with
the few operations a training step takes, and a random generator that works on eight states at once
(xoshiro256++, Blackman and Vigna 2021, doi:10.1145/3460772). The compiler splits vectors where the
machine's registers are shorter.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

WIDTH = 16
"""Numbers in a vector."""

STATES = 8
"""Generators that step together."""

WORDS = 4 * STATES
"""Words of 64 bits that the state of the generators takes."""


class Vector(types.Type):
    """Type of WIDTH numbers of one kind."""

    def __init__(self, scalar: types.Type) -> None:
        self.scalar = scalar
        super().__init__(name=f"vector({WIDTH} x {scalar})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """Kept as one vector value of LLVM."""

    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.scalar).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, WIDTH))


def _vector(kind: ir.Type) -> ir.VectorType:
    return ir.VectorType(kind, WIDTH)


def _place(context: Any, builder: Any, kind: Any, value: Any, index: Any, shape: ir.Type) -> Any:
    """Pointer to a vector at an index of an array."""
    array = context.make_array(kind)(context, builder, value)
    return builder.bitcast(builder.gep(array.data, [index]), shape.as_pointer())


def _align(kind: Any) -> int:
    return int(kind.dtype.bitwidth // 8)


def _splat(builder: Any, x: Any, shape: ir.VectorType) -> Any:
    one = builder.insert_element(ir.Constant(shape, ir.Undefined), x, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), shape.count), [0] * shape.count)
    return builder.shuffle_vector(one, ir.Constant(shape, ir.Undefined), zeros)


def _called(builder: Any, name: str, given: Any) -> Any:
    """An elementwise operation of LLVM on vectors of one type."""
    shape = given[0].type
    kind = "f32" if isinstance(shape.element, ir.FloatType) else "f64"
    signature = ir.FunctionType(shape, [shape] * len(given))
    full = f"llvm.{name}.v{shape.count}{kind}"
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, full), given)


def _full(shape: ir.VectorType, x: float | int) -> ir.Constant:
    return ir.Constant(shape, [shape.element(x)] * shape.count)


@intrinsic
def load(typing: Any, a: Any, i: Any) -> Any:
    """The vector a[i : i + WIDTH]."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        shape = context.get_value_type(signature.return_type)
        place = _place(context, builder, a, given[0], given[1], shape)
        return builder.load(place, align=_align(a), typ=shape)

    return Vector(a.dtype)(a, types.intp), build


@intrinsic
def store(typing: Any, a: Any, i: Any, v: Any) -> Any:
    """Write v to a[i : i + WIDTH]."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = _place(context, builder, a, given[0], given[1], given[2].type)
        builder.store(given[2], place, align=_align(a))
        return context.get_dummy_value()

    return types.void(a, types.intp, v), build


@intrinsic
def splat(typing: Any, x: Any) -> Any:
    """The vector of equal numbers x."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _splat(builder, given[0], context.get_value_type(signature.return_type))

    return Vector(x)(x), build


@intrinsic
def fma(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """x y + z, rounded once."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _called(builder, "fma", given)

    return x(x, y, z), build


@intrinsic
def add(typing: Any, x: Any, y: Any) -> Any:
    """x + y."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fadd(*given)

    return x(x, y), build


@intrinsic
def sub(typing: Any, x: Any, y: Any) -> Any:
    """x - y."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fsub(*given)

    return x(x, y), build


@intrinsic
def mul(typing: Any, x: Any, y: Any) -> Any:
    """x y."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fmul(*given)

    return x(x, y), build


@intrinsic
def div(typing: Any, x: Any, y: Any) -> Any:
    """x / y."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fdiv(*given)

    return x(x, y), build


@intrinsic
def root(typing: Any, x: Any) -> Any:
    """Square roots."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _called(builder, "sqrt", given)

    return x(x), build


@intrinsic
def where_positive(typing: Any, z: Any, x: Any) -> Any:
    """x where z > 0 (or z is no number, which shall not be hidden), else 0."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zero = _full(given[0].type, 0.0)
        off = builder.fcmp_ordered("<=", given[0], zero)
        return builder.select(off, zero, given[1])

    return x(z, x), build


@intrinsic
def where_below(typing: Any, u: Any, q: Any, x: Any) -> Any:
    """x where u < q, else 0."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        on = builder.fcmp_ordered("<", given[0], given[1])
        return builder.select(on, given[2], _full(given[2].type, 0.0))

    return x(u, q, x), build


@intrinsic
def total(typing: Any, x: Any) -> Any:
    """Sum of a vector, halves added to halves."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = given[0]
        count = WIDTH
        while count > 1:
            count //= 2
            order = [ir.IntType(32)(k) for k in (*range(count), *range(count, 2 * count))]
            kind = ir.VectorType(ir.IntType(32), count)
            low = builder.shuffle_vector(v, v, ir.Constant(kind, order[:count]))
            high = builder.shuffle_vector(v, v, ir.Constant(kind, order[count:]))
            v = builder.fadd(low, high)
        return builder.extract_element(v, ir.IntType(32)(0))

    return x.scalar(x), build


def _next(context: Any, builder: Any, kind: Any, state: Any) -> Any:
    """One step of STATES generators: STATES words of 64 random bits."""
    shape = ir.VectorType(ir.IntType(64), STATES)
    places = [
        _place(context, builder, kind, state, ir.IntType(64)(STATES * i), shape) for i in range(4)
    ]
    s = [builder.load(place, align=8, typ=shape) for place in places]

    def turned(x: Any, k: int) -> Any:
        left, right = builder.shl(x, _full(shape, k)), builder.lshr(x, _full(shape, 64 - k))
        return builder.or_(left, right)

    result = builder.add(turned(builder.add(s[0], s[3]), 23), s[0])
    t = builder.shl(s[1], _full(shape, 17))
    s[2], s[3] = builder.xor(s[2], s[0]), builder.xor(s[3], s[1])
    s[1], s[0] = builder.xor(s[1], s[2]), builder.xor(s[0], s[3])
    s[2], s[3] = builder.xor(s[2], t), turned(s[3], 45)
    for value, place in zip(s, places, strict=True):
        builder.store(value, place, align=8)
    return result


@intrinsic
def random_words(typing: Any, state: Any, out: Any, i: Any) -> Any:
    """Write STATES random words to out[i : i + STATES]; state holds WORDS words."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        drawn = _next(context, builder, state, given[0])
        place = _place(context, builder, out, given[1], given[2], drawn.type)
        builder.store(drawn, place, align=8)
        return context.get_dummy_value()

    return types.void(state, out, types.intp), build


@intrinsic
def uniform(typing: Any, state: Any, like: Any) -> Any:
    """A vector of numbers uniform on [0, 1): of 24 bits in float32, of 53 in float64."""
    single = like == types.float32

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        shape = context.get_value_type(signature.return_type)
        first = _next(context, builder, state, given[0])
        if single:
            words = builder.bitcast(first, _vector(ir.IntType(32)))
            kept = builder.lshr(words, _full(words.type, 8))
            return builder.fmul(builder.uitofp(kept, shape), _full(shape, 2.0**-24))
        second = _next(context, builder, state, given[0])
        both = ir.Constant(_vector(ir.IntType(32)), [ir.IntType(32)(k) for k in range(WIDTH)])
        words = builder.shuffle_vector(first, second, both)
        kept = builder.lshr(words, _full(words.type, 11))
        return builder.fmul(builder.uitofp(kept, shape), _full(shape, 2.0**-53))

    return Vector(like)(state, like), build


@intrinsic
def chosen(typing: Any, word: Any, keep: Any, other: Any, where: Any, table: Any) -> Any:
    """The value that a random word chooses from an alias table (`validate.engines.tables`)."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        word_, *arrays, number = given
        kinds = (keep, other, where)
        keeps, others, rows = (
            context.make_array(kind)(context, builder, one).data
            for kind, one in zip(kinds, arrays, strict=True)
        )
        whole = ir.IntType(64)
        row = builder.mul(number, whole(3))

        def item(data: Any, index: Any) -> Any:
            return builder.load(builder.gep(data, [index]), typ=whole)

        start, shift, low = (item(rows, builder.add(row, whole(k))) for k in range(3))
        cell = builder.lshr(word_, shift)
        place = builder.add(start, cell)
        mask = builder.sub(builder.shl(whole(1), shift), whole(1))
        own = builder.icmp_unsigned("<", builder.and_(word_, mask), item(keeps, place))
        return builder.select(own, builder.add(low, cell), item(others, place))

    return types.int64(types.uint64, keep, other, where, types.intp), build


__all__ = ["STATES", "WIDTH", "WORDS", "Vector"]
