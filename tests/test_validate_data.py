"""Samplers: marginals are not enough, so every joint law is tested as a joint law.

Counts are compared with their exact chances: what is rarer than five standard deviations fails.
Patterns, pairs, neighbours and values make some thousand comparisons, with fixed seeds.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch

from packing.types import Float
from validate.experiments import Recipe, Run, Setting
from validate.sampling import Feed, Sampler, form_of, generator, sampler

FIVE = 5.0
RARE = float(scipy.stats.norm.sf(FIVE))
COUNT = 40_000
KEY = "0123456789abcdef0123456789abcdef"
JOINTS = ("independent", "one-on", "together:2", "apart:3")


def near(hits: int | np.integer, p: float, trials: int) -> bool:
    """Whether a binomial count is as likely as five standard deviations, or likelier."""
    law = scipy.stats.binom(trials, p)
    return bool(min(law.cdf(hits), law.sf(hits - 1)) > RARE)


def chances(setting: Setting) -> dict[tuple[int, ...], float]:
    """The chance of every on/off pattern, straight from the definition of each joint law."""
    n, kind = setting.n, setting.joint.partition(":")[0]
    S = setting.features.S
    size = int(setting.joint.partition(":")[2] or 1)
    found = {}
    for pattern in itertools.product((0, 1), repeat=n):
        groups = [pattern[i : i + size] for i in range(0, n, size)]
        p = 1.0
        if kind == "independent":
            p = math.prod(s if on else 1.0 - s for s, on in zip(S, pattern, strict=True))
        elif kind == "one-on":
            p = 1.0 / n if sum(pattern) == 1 else 0.0
        elif kind == "together":
            for g in groups:
                p *= {0: 1.0 - S[0], size: S[0]}.get(sum(g), 0.0)
        else:
            for g in groups:
                p *= {0: 1.0 - size * S[0], 1: S[0]}.get(sum(g), 0.0)
        found[pattern] = p
    return found


def wrong(x: Float, setting: Setting) -> list[str]:
    """What is wrong with samples (count, n); empty if nothing is."""
    count, n = x.shape
    on = x != 0.0
    exact = chances(setting)
    bad = []
    for pattern, p in exact.items():
        hits = np.sum(np.all(on == np.array(pattern, dtype=bool), axis=1))
        if not near(hits, p, count):
            bad.append(f"pattern {pattern}: {hits} of {count}, chance {p:.4g}")
    for i, j in itertools.combinations_with_replacement(range(n), 2):
        p = sum(q for pattern, q in exact.items() if pattern[i] and pattern[j])
        if not near(np.sum(on[:, i] & on[:, j]), p, count):
            bad.append(f"pair {i}, {j}")
        for lag in (1, 2, 3):  # samples do not know their neighbours in the batch
            pi, pj = (sum(q for pattern, q in exact.items() if pattern[a]) for a in (i, j))
            hits = np.sum(on[lag::4, i][: count // 4 - 1] & on[::4, j][: count // 4 - 1])
            if not near(hits, pi * pj, count // 4 - 1):
                bad.append(f"samples {lag} apart, {i}, {j}")
    return bad + wrong_values(x, setting)


def wrong_values(x: Float, setting: Setting) -> list[str]:
    """Values of on features: their law, and no correlation between any two of them."""
    if setting.law == "binary":
        return [] if set(np.unique(x)) <= {0.0, 1.0} else ["binary values"]
    bad = []
    cumulative = (lambda v: v) if setting.law == "uniform" else (lambda v: 1.0 - np.exp(-v))
    ranks = [cumulative(x[:, i]) for i in range(setting.n)]
    for i, u in enumerate(ranks):
        u = u[x[:, i] != 0.0]
        for level in (0.1, 0.3, 0.5, 0.7, 0.9):
            if not near(np.sum(u < level), level, len(u)):
                bad.append(f"value of {i} below its {level} quantile")
    for i, j in itertools.combinations(range(setting.n), 2):
        both = (x[:, i] != 0.0) & (x[:, j] != 0.0)
        if np.sum(both) > 20:
            product = 12.0 * (ranks[i][both] - 0.5) * (ranks[j][both] - 0.5)
            if abs(np.sum(product)) > FIVE * math.sqrt(len(product)):
                bad.append(f"values of {i} and {j} go together")
    return bad


def fed(setting: Setting, seeds: int = 1, batch: int = 256) -> list[Float]:
    """Samples as training sees them, about COUNT for each of some runs."""
    recipe = Recipe(steps=10**6, batch=batch, dtype="float64")
    runs = [Run(setting, recipe, seed) for seed in range(seeds)]
    form = form_of(setting, recipe, "cpu")
    feed = Feed(runs, form, torch.device("cpu"))
    parts: list[list[Float]] = [[] for _ in runs]
    shuffle = np.random.default_rng(0)
    while sum(len(part) for part in parts[0]) < COUNT:
        chunk = feed.draw()
        for k, t in itertools.product(range(seeds), range(form.steps)):
            x = chunk.x[k, t if chunk.x.shape[1] > 1 else 0].numpy()
            rows = x[:-1, x[-1] == 1.0].T
            if chunk.weight is not None:
                rows = np.repeat(rows, chunk.weight[k, t].numpy()[x[-1] == 1.0].astype(int), axis=0)
            if chunk.off is not None:
                rows = np.vstack([rows, np.zeros((int(chunk.off[k, t]), setting.n))])
            assert len(rows) == batch
            # Within a batch the order is free; shuffled, so that it says nothing.
            parts[k].append(shuffle.permutation(rows))
    return [np.vstack(part)[:COUNT] for part in parts]


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize("law", ["binary", "uniform", "exponential"])
def test_dense_samples_have_the_joint_law(law: str, joint: str) -> None:
    setting = Setting(6, 2, 0.2, law, joint=joint)
    assert wrong(sampler(setting).draw(generator(KEY, 2), COUNT), setting) == []


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize(("law", "S"), [("binary", 0.2), ("uniform", 0.05), ("exponential", 0.3)])
def test_training_sees_the_joint_law(law: str, S: float, joint: str) -> None:
    """Whatever the form: counted patterns, rows with something on, or all samples."""
    setting = Setting(6, 2, S, law, joint=joint)
    assert wrong(fed(setting)[0], setting) == []


@pytest.mark.parametrize("law", ["binary", "uniform"])
def test_each_feature_may_have_its_own_chance(law: str) -> None:
    for S in ((0.02, 0.05, 0.1, 0.2), (0.5, 0.9, 0.1, 1.0)):
        setting = Setting(4, 2, S, law)
        assert wrong(sampler(setting).draw(generator(KEY, 2), COUNT), setting) == []
        assert wrong(fed(setting)[0], setting) == []


def test_rows_of_each_batch_are_binomial() -> None:
    """Not only the mean: batches of rows are independent samples, so their number varies so."""
    setting, recipe = Setting(12, 2, 0.01, "uniform"), Recipe(10, batch=512)
    form = form_of(setting, recipe, "cpu")
    assert form.kind == "rows"
    feed = Feed([Run(setting, recipe, 5)], form, torch.device("cpu"))
    active = torch.cat([512 - feed.draw().off[0] for _ in range(40)]).double().numpy()  # type: ignore[index]
    p = 1.0 - 0.99**12
    assert np.mean(active) == pytest.approx(512 * p, abs=FIVE * math.sqrt(512 * p / len(active)))
    variance = 512 * p * (1.0 - p)
    assert np.var(active) == pytest.approx(variance, rel=FIVE * math.sqrt(2.0 / len(active)))


def test_rows_that_do_not_fit_are_left_out_and_nothing_else_is_touched() -> None:
    law = sampler(Setting(3, 2, 0.2, "binary"))
    wide, narrow = np.zeros((5, 4, 64)), np.zeros((5, 4, 16))
    active = law.rows(generator(KEY, 1), 5, 64, wide)
    again = law.rows(generator(KEY, 1), 5, 64, narrow)
    assert np.array_equal(active, again) and np.max(active) > 16
    assert np.array_equal(narrow, wide[:, :, :16])
    assert np.array_equal(wide[:, 3].sum(axis=1), active)
    nothing = Sampler(3, 1, np.full(3, 1e-12), False, "uniform")
    out = np.zeros((4, 4, 16))
    assert not nothing.rows(generator(KEY, 1), 4, 16, out).any() and not out.any()


@pytest.mark.parametrize(("law", "S"), [("binary", 0.3), ("uniform", 0.05), ("uniform", 0.6)])
def test_models_see_samples_of_their_own(law: str, S: float) -> None:
    setting = Setting(3, 2, S, law)
    one, two = fed(setting, seeds=2)
    assert wrong(one, setting) == [] and wrong(two, setting) == []
    assert not go_together(one, two)
    assert go_together(one, one), "control: models that share their samples"


def go_together(one: Float, two: Float, batch: int = 256) -> bool:
    """Whether counts per batch of two models are correlated."""
    steps = len(one) // batch
    counts = [np.sum(x[: steps * batch].reshape(steps, batch, -1) != 0, axis=1) for x in (one, two)]
    scores = [(c - c.mean(axis=0)) / c.std(axis=0) for c in counts]
    return bool(np.max(np.abs(scores[0].T @ scores[1])) > FIVE * math.sqrt(steps))


# Controls: what must be caught is caught.


def test_a_mask_broadcast_over_the_wrong_axis_is_caught() -> None:
    """One coin for all features of a sample: the marginals are right and the joint law is not."""
    setting = Setting(4, 2, 0.2, "uniform")
    rng = np.random.default_rng(0)
    mask = rng.random((COUNT, 1)) < 0.2
    x = np.where(mask, rng.random((COUNT, 4)), 0.0)
    for i in range(4):
        assert near(np.sum(x[:, i] != 0.0), 0.2, COUNT), "the marginals look right"
    found = wrong(x, setting)
    assert any("pair" in text for text in found) and any("pattern" in text for text in found)
    # The other wrong axis: one coin for all samples of a short batch.
    mask = np.repeat(rng.random((COUNT // 4, 4)) < 0.2, 4, axis=0)
    found = wrong(np.where(mask, rng.random((COUNT, 4)), 0.0), setting)
    assert any("apart" in text for text in found)


def test_other_faults_are_caught() -> None:
    rng = np.random.default_rng(0)
    one = Setting(4, 2, 0.2, "uniform")
    x = sampler(one).draw(rng, COUNT)
    assert wrong(x, one) == []
    assert wrong(x, Setting(4, 2, 0.8, "uniform")), "S read as 1 - S"
    assert wrong(x, Setting(4, 2, 0.2, "exponential")), "the law swapped"
    assert wrong(x, Setting(4, 2, 0.2, "uniform", joint="together:2"))
    assert wrong(x, Setting(4, 2, 0.2, "uniform", joint="apart:2"))
    assert wrong(x, Setting(4, 2, 0.25, "uniform", joint="one-on"))
    shared = np.where(x != 0.0, rng.random((COUNT, 1)), 0.0)
    assert wrong(shared, one), "one value for all features of a sample"


def test_small_chances_are_not_rounded() -> None:
    """24 random bits would make 1e-6 come out as 17/2^24, 1.3 percent too often."""
    law = sampler(Setting(1, 1, 1e-6, "uniform"))
    assert law.fine and not sampler(Setting(1, 1, 0.5)).fine
    u = torch.tensor([[0.9e-6, 1.01e-6]], dtype=torch.float64)
    x = law.dense(u)
    assert x[0, 0].item() == pytest.approx(0.9) and x[0, 1].item() == 0.0


def test_patterns_and_chances_agree_with_the_definition() -> None:
    for joint in JOINTS:
        setting = Setting(6, 2, 0.1, joint=joint)
        law = sampler(setting)
        found = dict(law.patterns())
        assert len(found) == law.pattern_count() and sum(found.values()) == pytest.approx(1.0)
        for pattern, p in chances(setting).items():
            assert found.get(pattern, 0.0) == pytest.approx(p, abs=1e-15)
        assert law.active == pytest.approx(1.0 - chances(setting)[(0,) * 6])
    assert sampler(Setting(4, 2, 1.0)).active == 1.0


def test_the_number_of_patterns_of_very_many_features() -> None:
    from validate.experiments import Recipe

    wide = Setting(3000, 2, 0.001)
    assert sampler(wide).pattern_count() == float("inf")
    assert form_of(wide, Recipe(1), "cpu").kind == "rows"
    assert sampler(Setting(5, 2, 0.1)).pattern_count() == 32
    assert sampler(Setting(6, 2, 0.1, joint="apart:3")).pattern_count() == 16
