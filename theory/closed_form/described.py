"""From a catalogue entry or a description to the form of a block with several kinds of vectors.

A description must not contradict itself: counts fit into the block, the pairs between two kinds are
as many seen from either side, and cosines stay in [-1, 1] at the ends and the middle of the
heights. Whether some vectors have these cosines is not checked: it is for who describes them.
"""

from __future__ import annotations

from collections.abc import Sequence

from packing.catalogue.entry import Cosine, Entry
from packing.errors import BadInput
from theory.closed_form.field import Element, read
from theory.closed_form.orbits import OrbitForm
from theory.closed_form.shapes import Orbits, orbits_of
from theory.features import law_named


def orbit_form(
    block: Entry | str | Orbits,
    law: str = "binary",
    parts: Sequence[Sequence[int]] | None = None,
) -> OrbitForm:
    """The loss of a block whose vectors are of several kinds, each with its own norm and bias.

    Parameters
    ----------
    block : Entry, str or Orbits
        A catalogue entry, its name, or a description (`theory.closed_form.shapes`).
    law : str
        Name of a law of `theory.features`.
    parts : sequence of sequences of int, optional
        For an entry: which vectors share norm and bias. Their kinds of rows if not given; always
        split until the vectors of a part see the same cosines with every part.

    Returns
    -------
    OrbitForm

    Raises
    ------
    BadInput
        If the description contradicts itself, or a cosine cannot be read.
    """
    law_named(law)
    if isinstance(block, str):
        from packing.catalogue import entry

        block = entry(block)
    if isinstance(block, Entry):
        block = orbits_of(block, parts)
    elif parts is not None:
        raise BadInput("parts are for catalogue entries: a description has its kinds already")
    texts, places = [], []
    for a, row in enumerate(block.seen):
        for b, cosine, m in row:
            several = cosine if isinstance(cosine, tuple) else (cosine,)
            if len(several) > 1 and block.height is None:
                raise BadInput(f"a cosine of {block.name} depends on h: give height = (low, high)")
            texts += [c.text if isinstance(c, Cosine) else str(c) for c in several]
            places.append((a, b, len(several), m))
    field, elements = read(texts)
    seen: list[list[tuple[int, tuple[Element, ...], int]]] = [[] for _ in block.counts]
    used = 0
    for a, b, length, m in places:
        coefficients = tuple(elements[used : used + length])
        used += length
        while len(coefficients) > 1 and not any(coefficients[-1]):
            coefficients = coefficients[:-1]
        if len(coefficients) > 1 or any(coefficients[0]):
            seen[a].append((b, coefficients, m))
    form = OrbitForm(block, law, field, tuple(tuple(row) for row in seen))
    _consistent(form)
    return form


def _consistent(form: OrbitForm) -> None:
    """Counts are whole, fit into the block, agree from both sides, and cosines lie in [-1, 1]."""
    import flint

    counts, kinds = form.counts, len(form.counts)
    name = form.name
    if len(form.shape.seen) != kinds or any(not isinstance(k, int) or k < 1 for k in counts):
        raise BadInput(f"counts = {counts}: give a positive count and a row per kind of vector")
    pairs: dict[tuple[int, int, tuple[Element, ...]], int] = {}
    for a, row in enumerate(form.seen):
        if any(not 0 <= b < kinds or not isinstance(m, int) or m < 1 for b, _, m in row):
            raise BadInput(f"a row of {name} names a kind or a count that does not exist")
        for b in range(kinds):
            if sum(m for k, _, m in row if k == b) > counts[b] - (a == b):
                raise BadInput(
                    f"kind {a} of {name} sees more of kind {b} than the {counts[b]} there are"
                )
        for b, c, m in row:
            pairs[a, b, c] = pairs.get((a, b, c), 0) + m
    for (a, b, c), m in pairs.items():
        if counts[a] * m != counts[b] * pairs.get((b, a, c), 0):
            raise BadInput(
                f"{name}: {counts[a]} x {m} pairs seen from kind {a} are "
                f"{counts[b]} x {pairs.get((b, a, c), 0)} seen from kind {b}: they must be equal"
            )
    low, high = form.shape.height or (0.0, 0.0)
    if not low <= high:
        raise BadInput(f"height = ({low}, {high}): give an interval")
    with flint.ctx.workprec(128):
        for h in (low, (low + high) / 2, high):
            for row in form.seen:
                for _, c, _ in row:
                    value = flint.arb_poly([form.field.ball(x) for x in c])(flint.arb(h))
                    if abs(value) > 1:
                        raise BadInput(
                            f"a cosine of {name} is {float(value.mid()):g} at h = {h:g}: "
                            "cosines lie in [-1, 1]"
                        )
