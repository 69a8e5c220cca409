"""The name of an arrangement: its orthogonal blocks, each compared with the named shapes.

A block has a name only if a construction of the catalogue agrees with it up to rotation, scale
and relabelling, within the tolerance; everything else is `irregular` with a fingerprint. Grammar:

    blocks joined by " + ", a count before a repeated one, then dedicated and ignored features:
    pentagon; 2 digon + 1 ignored; (pentagon + 1 shadow) + digon + 1 dedicated

- dedicated: alone in its dimension. digon: an antipodal pair. parallel pair: the same direction.
- shadow: weaker than another feature of the block and along its direction; twin: as strong.
  They bend the shape that carries them, so that shape is named when it is a regular polygon or
  simplex within NEAR, or a digon however uneven; `Block.distance` says how far it is bent.
- uneven: the directions of the shape, with unequal norms.
- isosceles triangle: three vectors in a plane with a mirror line through one of them.
- The fingerprint of an irregular block hashes its type, not its decimals: size, dimension, order
  of its symmetry group, orbit sizes, antipodal and parallel pairs. Along a continuous branch in S
  it changes only where the type does; two different blocks may share it.

`name_of` sees sharply and is quick. `identify` also sees through noise, such as that of trained
weights, and says more: how near the nearest named arrangement is, exact cosines, fingerprints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from packing.arrangement import REPRESENTED, TOLERANCE, Arrangement
from packing.catalogue import candidates
from packing.errors import BadInput
from packing.names.naming import Found, displacements, name_block, near_block, sentence, type_of
from packing.names.noisy import read
from packing.names.sight import Sight
from packing.symmetry import canonical_form, symmetry_order

Float = NDArray[np.float64]
Int = NDArray[np.int64]

GUESSED = 24
"""Exact cosines of blocks outside the catalogue are sought for up to this many vectors."""

LOUDEST = 0.2
"""Noise above this fraction of the vectors' length leaves nothing to name."""


@dataclass(frozen=True)
class Block:
    """Features in a subspace orthogonal to all others.

    Parameters
    ----------
    name : str
        Name of the shape.
    features : tuple of int
        Its features, ascending, counted from 0.
    symmetry_order : int or None
        Number of relabellings that keep all its inner products; None where that was not found. For
        a shape named through noise, that of the shape.
    distance : float
        Largest displacement of a vector from the named shape after the best rotation, scale and
        relabelling, in units of the root mean square norm; infinity for an irregular block.
    nearest : str
        For an irregular block, the nearest named arrangement if `identify` found one at all.
    nearest_distance : float
        The root mean square displacement from it, every vector keeping its norm; else infinity.
    fingerprint : str
        For an irregular block, the hash of its canonical form, from `identify`: equal for equal
        blocks, however rotated, scaled and labelled, and different for blocks whose cosines or
        norms are ordered differently.
    exact : tuple of str
        From `identify`: the distinct cosines between its vectors, decreasing, as sympy reads them.
        Those of the named shape; for others found by integer relations and proved to belong to
        some vectors (`packing.proofs.gram`). Empty where none were found or the weights are noisy.
    """

    name: str
    features: tuple[int, ...]
    symmetry_order: int | None
    distance: float
    nearest: str = ""
    nearest_distance: float = math.inf
    fingerprint: str = ""
    exact: tuple[str, ...] = ()


@dataclass(frozen=True)
class Named:
    """The name of an arrangement and of its blocks.

    ``blocks`` are in the order of the name, dedicated features last, one block each. ``rattlers``
    have no cosine as large as the largest of their block, so they can move there and nothing gets
    worse (equal norms only, else empty; through noise, those of the named shapes). ``represented``
    counts the features that are not ``ignored``.

    A name seen through noise has a ``noise``: the root mean square displacement of a vector from
    its place in the named arrangement, every vector keeping its norm, in units of the root mean
    square norm. ``chance`` is the probability that random directions come as near to it
    (`packing.names.chance`). Both are 0 for a name that holds within the tolerance.
    """

    name: str
    blocks: tuple[Block, ...]
    rattlers: tuple[int, ...]
    represented: int
    ignored: tuple[int, ...]
    noise: float = 0.0
    chance: float = 0.0


def name_of(
    W: ArrayLike | Arrangement,
    b: ArrayLike | None = None,
    *,
    tolerance: float = TOLERANCE,
    norm_tolerance: float = REPRESENTED,
) -> Named:
    """The name of the columns of W.

    Parameters
    ----------
    W : (d, n) array or Arrangement
        Finite weights, one column per feature.
    b : (n,) array, optional
        Biases; checked for shape only, since names describe geometry.
    tolerance : float
        Cosines and relative norms closer than this are the same; in (0, 0.1).
    norm_tolerance : float
        A feature is represented if its norm exceeds this, in the units of W.

    Raises
    ------
    BadInput
        If W or b has a wrong shape or holds NaN, or a tolerance is out of range.

    Notes
    -----
    Numerical, not proved: equality means equality within the tolerance. Every name is confirmed on
    all inner products of a relabelled construction.
    """
    whole = _checked(W, b, tolerance)
    if not 0.0 <= norm_tolerance < math.inf:
        raise BadInput(f"norm_tolerance = {norm_tolerance:g} is out of range: give a number >= 0")
    sight = Sight(tolerance, tolerance)
    groups = whole.blocks(tolerance, norm_tolerance)
    found = [name_block(whole.part(group), sight) for group in groups]
    return _assembled(whole, groups, found, sight, norm_tolerance)


def identify(
    W: ArrayLike | Arrangement,
    b: ArrayLike | None = None,
    *,
    tolerance: float = TOLERANCE,
    noise: float | None = None,
    exact: bool = True,
) -> Named:
    """The name of the columns of W, seen through noise where they have no name without it.

    Parameters
    ----------
    W : (d, n) array or Arrangement
        Finite weights, one column per feature.
    b : (n,) array, optional
        Biases; checked for shape only, since names describe geometry.
    tolerance : float
        Cosines and relative norms closer than this are the same; in (0, 0.1).
    noise : float, optional
        Length of the error that each vector may have, in units of the root mean square norm of the
        features that count; 0 to see sharply only, at most LOUDEST. If left out, whatever is exact
        is named as `name_of` does, and the rest at the noise level between 1e-5 and 0.1 that names
        most.
    exact : bool
        Look for the exact cosines of blocks; without, they are left empty and nothing else changes.

    Returns
    -------
    Named
        With the nearest named arrangement, fingerprint and exact cosines of blocks where they are
        known. Through noise, features shorter than three times the noise are ignored (if it is
        not stated, never longer ones than 0.03), and norms are even if their standard deviation is
        below a twentieth of the largest (if it is stated, below four times that of an entry).

    Raises
    ------
    BadInput
        If W or b has a wrong shape or holds NaN, or tolerance or noise is out of range.

    Notes
    -----
    Numerical. Without a stated noise, fewer than one in 10^4 random arrangements of more than
    d + 1 vectors gets a name (`packing.names.chance` has the formula, tests the count). With fewer
    vectors a name says little: of three random vectors in the plane up to one in a hundred gets
    one, and `chance` says how little. Overstating the noise can lose a name.
    """
    whole = _checked(W, b, tolerance)
    if noise is not None and not 0.0 <= noise <= LOUDEST:
        raise BadInput(
            f"noise = {noise:g} is out of range: give the length of a vector's error as a fraction "
            f"of its norm, from 0 to {LOUDEST:g}"
        )
    faint = REPRESENTED * float(whole.norms.max())
    sharp = name_of(whole, tolerance=tolerance, norm_tolerance=faint)
    regular = sum(len(block.features) for block in sharp.blocks if block.distance < math.inf)
    reading = None
    if whole.d == 1 and "uneven" in sharp.name:  # on a line only norms can tell of noise
        regular = 0
    if noise or (noise is None and regular < sharp.represented):
        reading = read(whole, tolerance, noise)
    if reading is None or (noise is None and reading.named <= regular):
        sight = Sight(tolerance, tolerance)
        return replace(sharp, blocks=tuple(_told(whole, x, sight, exact) for x in sharp.blocks))
    named = _assembled(whole, reading.groups, reading.found, reading.sight, reading.limit)
    return replace(
        named,
        blocks=tuple(_told(whole, x, reading.sight, exact) for x in named.blocks),
        noise=reading.distance,
        chance=math.exp(reading.log_chance),
    )


def _checked(W: ArrayLike | Arrangement, b: ArrayLike | None, tolerance: float) -> Arrangement:
    whole = W if isinstance(W, Arrangement) else Arrangement.from_weights(W)
    if b is not None and np.shape(b) != (whole.n,):
        raise BadInput(f"b has shape {np.shape(b)}: give {whole.n} biases, one per column of W")
    if not 0.0 < tolerance < 0.1:
        raise BadInput(f"tolerance = {tolerance:g} is out of range: give a number in (0, 0.1)")
    return whole


def _assembled(
    whole: Arrangement,
    groups: Sequence[tuple[int, ...]],
    found: Sequence[Found | None],
    sight: Sight,
    norm_tolerance: float,
) -> Named:
    """The name of the whole from those of its blocks."""
    blocks = [_block(whole, *pair, sight) for pair in zip(groups, found, strict=True)]
    ranks = {group: sight.rank(whole.part(group)) for group in groups}

    def place(x: Block) -> tuple[bool, int, int, str, tuple[int, ...]]:
        return x.name == "dedicated", -ranks[x.features], -len(x.features), x.name, x.features

    blocks.sort(key=place)
    ignored = whole.ignored(norm_tolerance)
    live = [i for group in groups for i in group]
    even = bool(live) and not sight.uneven(whole.norms[live])
    loose = []
    for group, one in zip(groups, found, strict=True):
        if not sight.noise:
            loose += [group[i] for i in whole.part(group).rattlers(sight.same)]
        elif one is not None:  # noise lifts one cosine above the others: ask the shape itself
            loose += [group[i] for i in Arrangement(one.model).rattlers(TOLERANCE)]
    return Named(
        name=sentence([x.name for x in blocks], len(ignored), even),
        blocks=tuple(blocks),
        rattlers=tuple(sorted(loose)) if even else (),
        represented=len(live),
        ignored=ignored,
    )


def _block(whole: Arrangement, group: tuple[int, ...], found: Found | None, sight: Sight) -> Block:
    part = whole.part(group)
    if found is None:
        order = symmetry_order(part, sight.same)
        size = f"{part.n} in {sight.rank(part)}"
        return Block(f"irregular {size} [{type_of(part, sight, order)}]", group, order, math.inf)
    distance = float(displacements(part, found.model).max())
    ideal = Arrangement(found.model) if sight.noise else part
    return Block(found.name, group, symmetry_order(ideal, sight.same), distance)


def _told(whole: Arrangement, block: Block, sight: Sight, wanted: bool) -> Block:
    """A block with what only `identify` says of it."""
    part = whole.part(block.features)
    exact = _exact_cosines(part, block, sight) if wanted and not sight.noise else ()
    if block.distance < math.inf:
        return replace(block, exact=exact)
    near = near_block(part, sight)
    form = canonical_form(part, sight.same)
    return replace(
        block,
        nearest="" if near is None else near.name,
        nearest_distance=math.inf if near is None else near.distance,
        fingerprint="" if form is None else form.fingerprint,
        exact=exact,
    )


def _exact_cosines(part: Arrangement, block: Block, sight: Sight) -> tuple[str, ...]:
    """Cosines between the vectors of a block, from the catalogue or by integer relations."""
    if sight.rank(part) == 1:
        signs = np.unique(np.sign(part.cosines[np.triu_indices(part.n, 1)]))
        return tuple("1" if sign > 0.0 else "-1" for sign in signs[::-1])
    name = block.name.removeprefix("uneven ")
    for one in candidates(part.n, sight.rank(part)):
        if one.name == name:
            rows = [cosine for _, row in one.rows for cosine, _ in row]
            return tuple({c.text: c for c in sorted(rows, key=lambda c: -c.value)})
    if part.n > GUESSED:
        return ()
    from packing.proofs.gram import exact_gram

    found = exact_gram(part).gram
    return () if found is None else tuple(c.text for c in found.cosines[1:])
