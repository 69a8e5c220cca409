"""The kernels of the compiled engine: vector arithmetic, products, columns of samples, a step.

numba vectorises only loops it can prove free of aliases, which a kernel on shared scratch never is.
So a vector of sixteen numbers is a type of its own here, kept in registers by the compiler, with
the few operations a training step takes, and a random generator that works on eight states at once
(xoshiro256++, Blackman and Vigna 2021, doi:10.1145/3460772). The compiler splits vectors where the
machine's registers are shorter.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

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
    """The value that a random word chooses from an alias table (`numba_engine`)."""

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


# The products of a training step, sixteen columns at a time.
#
# Samples stand in columns, sixteen side by side (a block), several blocks at a time: as many as
# keep everything in the nearest cache. With h = W x, z = W'h + b, e = w I (relu(z) - x) where z >
# 0, w how often a column occurs,
#
#     dL/db = (2/B) sum e,   dL/dW = (2/B) sum (h e' + g x'),   g = W e,
#
# about 5 n d multiply-adds a column. Rows are taken four (or two) at a time, so that a vector that
# was loaded is used more than once.


class Shape(NamedTuple):
    """What is trained, and in which form its samples are drawn (`numba_engine.plan_of`).

    Parameters
    ----------
    n, d, size : int
        Features, dimensions, numbers of a model: n d + n up to a multiple of 16.
    blocks : int
        Blocks of columns in a flush.
    batch, form, law : int
        PATTERNS, GAPS or DENSE; BINARY, UNIFORM or EXPONENTIAL.
    relu, bias : bool
    group, single : int, bool
        Features of a group, and whether one of them is on rather than all.
    often, rare : int, bool
        Patterns with a table of their own, and whether there are others.
    last : int
        The last value of the table of gaps.
    """

    n: int
    d: int
    size: int
    blocks: int
    batch: int
    form: int
    law: int
    relu: bool
    bias: bool
    group: int
    single: bool
    often: int
    rare: bool
    last: int


class Places(NamedTuple):
    """Where the parts of the scratch begin."""

    gradient: int
    hidden: int
    back: int
    input: int
    error: int
    weight: int
    values: int


class Job(NamedTuple):
    """All that the kernel is told of one model.

    Parameters
    ----------
    model : (3 size + n,) array
        Parameters, both moments, importance; changed.
    numbers : array
        Scratch, zero wherever it may be read; left so.
    state : (WORDS,) array of uint64
        Of the random numbers; changed.
    bits, counts : integer scratch
        BITS random words; counts of the patterns, and the list of rare ones met.
    spent : (2,) array of int64
        How many of the words and values drawn ahead are used up.
    starts, members : integer arrays
        Of the patterns.
    keep, other, where : arrays
        Alias tables.
    accept : array of uint64
        Gaps: a word below this keeps the event of a group; 0 keeps all.
    levels : array
        Dense: S of each feature, then 1 / S of each.
    """

    shape: Shape
    at: Places
    model: NDArray[np.floating]
    numbers: NDArray[np.floating]
    state: NDArray[np.uint64]
    bits: NDArray[np.uint64]
    counts: NDArray[np.int64]
    spent: NDArray[np.int64]
    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    keep: NDArray[np.uint64]
    other: NDArray[np.int64]
    where: NDArray[np.int64]
    accept: NDArray[np.uint64]
    levels: NDArray[np.floating]


fast = njit(nogil=True, cache=True, error_model="numpy")


@fast
def _down(model: Any, s: Any, n: int, d: int, x: int, h: int, blocks: int, zero: Any) -> None:
    """h = W x: (d, 16) a block from (n, 16) a block, four rows at a time."""
    for k in range(blocks):
        source, target = x + k * n * 16, h + k * d * 16
        c = 0
        while c + 3 < d:
            one, two, three, four = splat(zero), splat(zero), splat(zero), splat(zero)
            for i in range(n):
                v, w = load(s, source + 16 * i), c * n + i
                one = fma(splat(model[w]), v, one)
                two = fma(splat(model[w + n]), v, two)
                three = fma(splat(model[w + 2 * n]), v, three)
                four = fma(splat(model[w + 3 * n]), v, four)
            store(s, target + 16 * c, one)
            store(s, target + 16 * (c + 1), two)
            store(s, target + 16 * (c + 2), three)
            store(s, target + 16 * (c + 3), four)
            c += 4
        while c + 1 < d:
            one, two = splat(zero), splat(zero)
            for i in range(n):
                v, w = load(s, source + 16 * i), c * n + i
                one = fma(splat(model[w]), v, one)
                two = fma(splat(model[w + n]), v, two)
            store(s, target + 16 * c, one)
            store(s, target + 16 * (c + 1), two)
            c += 2
        if c < d:
            one = splat(zero)
            for i in range(n):
                one = fma(splat(model[c * n + i]), load(s, source + 16 * i), one)
            store(s, target + 16 * c, one)


@fast
def _up(model: Any, s: Any, n: int, d: int, h: int, z: int, blocks: int) -> None:
    """z = W'h + b: (n, 16) a block from (d, 16) a block, four rows at a time."""
    bias = n * d
    for k in range(blocks):
        source, target = h + k * d * 16, z + k * n * 16
        i = 0
        while i + 3 < n:
            one, two = splat(model[bias + i]), splat(model[bias + i + 1])
            three, four = splat(model[bias + i + 2]), splat(model[bias + i + 3])
            for c in range(d):
                v, w = load(s, source + 16 * c), c * n + i
                one = fma(splat(model[w]), v, one)
                two = fma(splat(model[w + 1]), v, two)
                three = fma(splat(model[w + 2]), v, three)
                four = fma(splat(model[w + 3]), v, four)
            store(s, target + 16 * i, one)
            store(s, target + 16 * (i + 1), two)
            store(s, target + 16 * (i + 2), three)
            store(s, target + 16 * (i + 3), four)
            i += 4
        while i < n:
            one = splat(model[bias + i])
            for c in range(d):
                one = fma(splat(model[c * n + i]), load(s, source + 16 * c), one)
            store(s, target + 16 * i, one)
            i += 1


@fast
def _outer(s: Any, at: Places, n: int, d: int, blocks: int, zero: Any) -> None:
    """Add h e' + (W e) x' to the gradient of W, two rows and two columns at a time."""
    g, h, back, x, e = at.gradient, at.hidden, at.back, at.input, at.error
    for c in range(0, d - 1, 2):
        for i in range(0, n - 1, 2):
            one, two, three, four = splat(zero), splat(zero), splat(zero), splat(zero)
            for k in range(blocks):
                here, there = 16 * (k * n + i), 16 * (k * d + c)
                r, q = load(s, e + here), load(s, e + here + 16)
                u, v = load(s, h + there), load(s, h + there + 16)
                one, two = fma(r, u, one), fma(q, u, two)
                three, four = fma(r, v, three), fma(q, v, four)
                r, q = load(s, x + here), load(s, x + here + 16)
                u, v = load(s, back + there), load(s, back + there + 16)
                one, two = fma(r, u, one), fma(q, u, two)
                three, four = fma(r, v, three), fma(q, v, four)
            place = g + c * n + i
            s[place] += total(one)
            s[place + 1] += total(two)
            s[place + n] += total(three)
            s[place + n + 1] += total(four)
    # What is left over: the last row if d is odd, the last column if n is odd.
    for c in range(d):
        start = 0 if c == d - 1 and d % 2 == 1 else n - n % 2
        for i in range(start, n):
            one = splat(zero)
            for k in range(blocks):
                here, there = 16 * (k * n + i), 16 * (k * d + c)
                one = fma(load(s, e + here), load(s, h + there), one)
                one = fma(load(s, x + here), load(s, back + there), one)
            s[g + c * n + i] += total(one)


@fast
def flush(job: Job, blocks: int, want: bool, zero: Any) -> float:
    """Add the gradient of the columns in scratch; their loss if wanted. Clears the columns."""
    model, s, at, shape = job.model, job.numbers, job.at, job.shape
    n, d, relu = shape.n, shape.d, shape.relu
    x, e, w = at.input, at.error, at.weight
    importance, biases = 3 * shape.size, at.gradient + n * d
    _down(model, s, n, d, x, at.hidden, blocks, zero)
    few = d < 4
    if not few:
        _up(model, s, n, d, at.hidden, e, blocks)
    lost = 0.0
    for i in range(n):
        scale, sums, squares = splat(model[importance + i]), splat(zero), splat(zero)
        for k in range(blocks):
            place = 16 * (k * n + i)
            v = load(s, x + place)
            if few:
                z = splat(model[n * d + i])
                for c in range(d):
                    z = fma(splat(model[c * n + i]), load(s, at.hidden + 16 * (k * d + c)), z)
            else:
                z = load(s, e + place)
            r = sub(where_positive(z, z), v) if relu else sub(z, v)
            y = mul(mul(r, scale), load(s, w + 16 * k))
            squares = fma(r, y, squares)
            if relu:
                y = where_positive(z, y)
            sums = add(sums, y)
            store(s, e + place, y)
        s[biases + i] += total(sums)
        if want:
            lost += total(squares)
    _down(model, s, n, d, e, at.back, blocks, zero)
    _outer(s, at, n, d, blocks, zero)
    for i in range(w, w + 16 * blocks, 16):
        store(s, i, splat(zero))
    for i in range(x, x + 16 * blocks * n, 16):
        store(s, i, splat(zero))
    return lost


# Samples as columns, in three forms; what fills the scratch is flushed into the gradient.
#
#     patterns   few on/off patterns: how often each occurs is drawn; a column each if
#                values are binary, else one for each sample
#     gaps       from one feature (or group of them) that is on to the next
#     dense      every cell, where features are on often
#
# Samples with nothing on never become columns in the first two: they are counted. Random words and
# values are drawn ahead, many at a time; `spent` says how many of them are used up.

PATTERNS, GAPS, DENSE = 0, 1, 2
BINARY, UNIFORM, EXPONENTIAL = 0, 1, 2

BITS = 64
"""Random words drawn at a time."""

POOL = 64
"""Values drawn at a time."""


@fast
def _refill(state: Any, bits: Any) -> None:
    """Draw BITS random words."""
    for i in range(0, BITS, 8):
        random_words(state, bits, i)


@fast
def _values(state: Any, s: Any, start: int, count: int, law: int, one: Any) -> None:
    """Fill scratch with values of features that are on."""
    if law == BINARY:
        for i in range(0, count, 16):
            store(s, start + i, splat(one))
        return
    for i in range(0, count, 16):
        store(s, start + i, uniform(state, one))
    if law == EXPONENTIAL:
        for i in range(start, start + count):
            s[i] = -math.log1p(-s[i])


@fast
def by_patterns(job: Job, asked: bool, one: Any) -> tuple[float, int, int]:
    """One batch, by how often each on/off pattern occurs.

    Returns
    -------
    loss of the columns flushed, samples with nothing on, columns not flushed yet
    """
    s, at, shape, state = job.numbers, job.at, job.shape, job.state
    bits, spent, counts = job.bits, job.spent, job.counts
    starts, members = job.starts, job.members
    keep, other, where = job.keep, job.other, job.where
    n, batch, law = shape.n, shape.batch, shape.law
    room, zero = 16 * shape.blocks, one - one
    x, w, values = at.input, at.weight, at.values
    place, ready = spent[0], spent[1]
    often, rare = shape.often, shape.rare
    lost, column = 0.0, 0
    # How many samples have anything on, and how often each pattern occurs among them.
    if place == BITS:
        _refill(state, bits)
        place = 0
    word = bits[place]
    place += 1
    active = chosen(word, keep, other, where, 0)
    off = batch - active
    found, met = 0, often
    for p in range(often):
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        counts[p] = chosen(word, keep, other, where, p + 1)
        found += counts[p]
    table = often + 1
    more = 0
    if rare:
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        more = chosen(word, keep, other, where, table)
        table += 2
    end = len(starts) - 1
    while more > 0 or found < active:
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        if more > 0:
            p = chosen(word, keep, other, where, table - 1)
            more -= 1
        else:
            p = chosen(word, keep, other, where, table)
        if p >= often and counts[p] == 0:
            counts[end + met - often] = p
            met += 1
        counts[p] += 1
        found += 1
    while found > active:
        if place == BITS:
            _refill(state, bits)
            place = 0
        word = bits[place]
        place += 1
        left = np.int64(((word >> np.uint64(32)) * np.uint64(found)) >> np.uint64(32))
        for j in range(met):
            p = j if j < often else counts[end + j - often]
            left -= counts[p]
            if left < 0:
                counts[p] -= 1
                break
        found -= 1
    for j in range(met):
        p = j if j < often else counts[end + j - often]
        count = counts[p]
        if law == BINARY and count > 0:
            base = x + (column >> 4) * n * 16 + (column & 15)
            for k in range(starts[p], starts[p + 1]):
                s[base + 16 * members[k]] = one
            s[w + column] = one * count
            column += 1
            if column == room:
                lost += flush(job, shape.blocks, asked, zero)
                column = 0
        elif law != BINARY:
            for _ in range(count):
                base = x + (column >> 4) * n * 16 + (column & 15)
                for k in range(starts[p], starts[p + 1]):
                    if ready == POOL:
                        _values(state, s, values, POOL, law, one)
                        ready = 0
                    s[base + 16 * members[k]] = s[values + ready]
                    ready += 1
                s[w + column] = one
                column += 1
                if column == room:
                    lost += flush(job, shape.blocks, asked, zero)
                    column = 0
        if j >= often:
            counts[p] = 0
    spent[0], spent[1] = place, ready
    return lost, off, column


@fast
def by_gaps(job: Job, asked: bool, one: Any) -> tuple[float, int, int]:
    """One batch, from one group that is on to the next.

    Returns
    -------
    loss of the columns flushed, samples with nothing on, columns not flushed yet
    """
    s, at, shape, state = job.numbers, job.at, job.shape, job.state
    bits, spent, accept = job.bits, job.spent, job.accept
    keep, other, where = job.keep, job.other, job.where
    n, batch, law = shape.n, shape.batch, shape.law
    room, zero = 16 * shape.blocks, one - one
    x, w, values = at.input, at.weight, at.values
    place, ready = spent[0], spent[1]
    size, single = shape.group, shape.single
    lost, column = 0.0, 0
    groups = n // size
    last = shape.last
    cells = batch * groups
    cell, sample, active = -1, -1, 0
    base = x
    while True:
        cell += 1
        while True:
            if place == BITS:
                _refill(state, bits)
                place = 0
            word = bits[place]
            place += 1
            gap = chosen(word, keep, other, where, 0)
            cell += gap
            if gap != last or cell >= cells:
                break
        if cell >= cells:
            break
        row = cell // groups
        group = cell - row * groups
        if accept[group] != np.uint64(0):
            if place == BITS:
                _refill(state, bits)
                place = 0
            word = bits[place]
            place += 1
            if word >= accept[group]:
                continue
        if row != sample:
            if sample >= 0:
                column += 1
                if column == room:
                    lost += flush(job, shape.blocks, asked, zero)
                    column = 0
            sample = row
            active += 1
            base = x + (column >> 4) * n * 16 + (column & 15)
            s[w + column] = one
        low, high = group * size, (group + 1) * size
        if single:
            if place == BITS:
                _refill(state, bits)
                place = 0
            word = bits[place]
            place += 1
            low += np.int64(((word >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32))
            high = low + 1
        for i in range(low, high):
            if ready == POOL:
                _values(state, s, values, POOL, law, one)
                ready = 0
            s[base + 16 * i] = s[values + ready]
            ready += 1
    if sample >= 0:
        column += 1
    off = batch - active
    spent[0], spent[1] = place, ready
    return lost, off, column


@fast
def by_cells(job: Job, asked: bool, one: Any) -> tuple[float, int, int]:
    """One batch, every cell of it.

    Returns
    -------
    loss of the columns flushed, samples with nothing on, columns not flushed yet
    """
    s, at, shape, state = job.numbers, job.at, job.shape, job.state
    levels = job.levels
    n, batch, law = shape.n, shape.batch, shape.law
    room, zero = 16 * shape.blocks, one - one
    x, w = at.input, at.weight
    lost, column, off = 0.0, 0, 0
    while off < batch:
        base = x + (column >> 4) * n * 16
        for i in range(n):
            u, q = uniform(state, one), splat(levels[i])
            if law == BINARY:
                store(s, base + 16 * i, where_below(u, q, splat(one)))
            else:
                scaled = mul(u, splat(levels[n + i]))
                store(s, base + 16 * i, where_below(u, q, scaled))
        if law == EXPONENTIAL:
            for i in range(base, base + 16 * n):
                if s[i] > zero:
                    s[i] = -math.log1p(-min(s[i], one - 2.0**-24))
        count = min(16, batch - off)
        for j in range(count):
            s[w + column + j] = one
        off += count
        column += 16
        if column == room:
            lost += flush(job, shape.blocks, asked, zero)
            column = 0
    return lost, 0, column


# The kernel of the compiled engine: whole stretches of one model's training, nothing leaves it.
#
# A step draws its samples as columns, which are flushed into the gradient, adds the gradient of the
# samples with nothing on, 2/B times relu(b) for each, all at once, and makes the update of Adam.
# Learning rates are those of `validate.training.step`.

SCALE, KEEP, FIRST, FRESH, SECOND, SQUARE, UNBIAS, TINY, STEP = range(9)


@fast
def finish(job: Job, off: int, rates: NDArray[np.floating], zero: Any) -> float:
    """Samples with nothing on, then Adam; rates are those of this step (`STEP`)."""
    model, s, at, shape = job.model, job.numbers, job.at, job.shape
    n, size = shape.n, shape.size
    g, bias, importance = at.gradient, n * shape.d, 3 * size
    lost = 0.0
    for i in range(n):
        b = model[bias + i]
        if shape.relu and b <= zero:
            b = zero
        share = model[importance + i] * b * off
        lost += share * b
        if shape.bias:
            s[g + bias + i] += share
        else:
            s[g + bias + i] = zero
    scale, keep = splat(rates[SCALE]), splat(rates[KEEP])
    first, fresh = splat(rates[FIRST]), splat(rates[FRESH])
    second, square = splat(rates[SECOND]), splat(rates[SQUARE])
    unbias, epsilon, step = splat(rates[UNBIAS]), splat(rates[TINY]), splat(rates[STEP])
    for i in range(0, size, 16):
        gradient = mul(load(s, g + i), scale)
        m = fma(gradient, fresh, mul(load(model, size + i), first))
        v = fma(mul(gradient, gradient), square, mul(load(model, 2 * size + i), second))
        store(model, size + i, m)
        store(model, 2 * size + i, v)
        below = fma(root(v), unbias, epsilon)
        theta = mul(load(model, i), keep)
        store(model, i, sub(theta, mul(step, div(m, below))))
        store(s, g + i, splat(zero))
    return lost


@fast
def train(
    job: Job,
    rates: NDArray[np.floating],
    want: NDArray[np.bool_],
    losses: NDArray[np.float64],
    one: Any,
) -> None:
    """Train one model for as many steps as `rates` has rows.

    Parameters
    ----------
    job : Job
    rates : (T, 9) array
    want : (T,) array of bool
        Steps whose loss is recorded,
    losses : (T,) array of float64
        here.
    one : float
        Says in which precision.
    """
    form, batch, zero = job.shape.form, job.shape.batch, one - one
    job.spent[0], job.spent[1] = BITS, POOL
    for t in range(len(rates)):
        if form == PATTERNS:
            lost, off, column = by_patterns(job, want[t], one)
        elif form == GAPS:
            lost, off, column = by_gaps(job, want[t], one)
        else:
            lost, off, column = by_cells(job, want[t], one)
        if column > 0:
            lost += flush(job, (column + 15) >> 4, want[t], zero)
        lost += finish(job, off, rates[t], zero)
        losses[t] = lost / batch


__all__ = ["STATES", "WIDTH", "WORDS", "Vector"]
