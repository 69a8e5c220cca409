"""train, measure and run_suite from Python: what they return, and what they refuse."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packing.errors import BadInput
from theory import Features, loss
from validate import measure, run_suite, train
from validate.measurement import measure_trained

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent


def test_train_returns_weights_losses_and_curves() -> None:
    found = train(3, 2, 0.1, law="uniform", models=4, steps=200, batch=64, seed=5, snapshots=2)
    assert found.W.shape == (4, 2, 3) and found.b.shape == (4, 3) and len(found.curves) == 4
    assert [trained.run.seed for trained, _ in found.models] == [5, 6, 7, 8]
    features = Features.of(3, 0.1, "uniform")
    for W, b, value in zip(found.W, found.b, found.losses, strict=True):
        assert value == loss(W, b, features=features).total
    assert found.losses[found.best] == found.losses.min()
    values = found.to_dict()
    assert values["W"] == found.W.tolist() and values["losses"] == found.losses.tolist()
    assert len(repr(found)) < 300 and "4 of n = 3, d = 2" in repr(found)
    assert found._repr_html_().count("<tr>") >= 4
    assert len(found.plot().lines) == 5
    for part in found.models[0]:
        assert len(repr(part)) < 300 and part.to_dict()


def test_a_model_depends_on_its_seed_alone() -> None:
    many = train(3, 2, 0.1, models=3, steps=50, batch=64, engine="torch")
    alone = train(3, 2, 0.1, models=1, steps=50, batch=64, engine="torch", seed=2)
    assert np.array_equal(many.W[2], alone.W[0]) and np.array_equal(many.b[2], alone.b[0])
    assert not np.array_equal(many.W[0], many.W[1])


def test_dependent_features_have_no_exact_loss() -> None:
    found = train(4, 2, 0.25, joint="one-on", models=2, steps=20, batch=64)
    assert np.all(np.isnan(found.losses)) and found.to_dict()["losses"] == [None, None]
    assert found.best in (0, 1)


def test_measure_is_what_training_measures() -> None:
    """The same as of a trained model, but for the samples of the simulated loss."""
    found = train(
        5, 2, (0.05, 0.05, 0.1, 0.1, 0.2), models=1, steps=300, importance=[1, 1, 1, 2, 2]
    )
    ((trained, _),) = found.models
    own, ours = measure_trained(trained), measure(trained.W, trained.b, found.setting.features)
    assert (own.loss, own.error_bound, own.name) == (ours.loss, ours.error_bound, ours.name)
    assert np.array_equal(own.angles, ours.angles)
    assert ours.loss is not None
    assert abs(ours.simulated - ours.loss) < 5.0 * ours.standard_error
    assert measure(trained.W, None, found.setting.features).loss != ours.loss


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"n": 0}, "n = 0: give a whole number from 1"),
        ({"d": 1.5}, "d = 1.5: give a whole number"),
        ({"S": 1.7}, "S = 1.7 is not a probability"),
        ({"S": "often"}, "S = 'often': give a number or one for each feature"),
        ({"S": (0.1, 0.2)}, "S"),
        ({"importance": (1.0, "much", 1.0)}, "importance = .*: give a number"),
        ({"law": "normal"}, "law = 'normal' is unknown: give one of binary"),
        ({"joint": "never"}, "joint = 'never' is unknown"),
        ({"models": 0}, "models = 0: give a whole number from 1"),
        ({"steps": 0}, "steps = 0"),
        ({"batch": -1}, "batch = -1"),
        ({"lr": float("nan")}, "lr = nan: give a number above 0"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 2**63 - 1, "models": 2}, "seed = "),
        ({"schedule": "step"}, "schedule = 'step' is unknown"),
        ({"engine": "jax"}, "engine = 'jax' is unknown"),
        ({"device": "tpu"}, "device = 'tpu' is unknown"),
    ],
)
def test_train_refuses(how: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        train(**{"n": 3, "d": 2, "S": 0.1, "steps": 10, **how})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("W", "b", "how", "said"),
    [
        (np.ones((2, 3)), None, {}, "W"),
        (np.ones(4), None, {}, "W"),
        (np.ones((2, 4)), np.ones(3), {}, "b"),
        (np.full((2, 4), np.nan), None, {}, "W"),
        (np.ones((2, 4)), None, {"seed": -1}, "seed = -1"),
    ],
)
def test_measure_refuses(W: Any, b: Any, how: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        measure(W, b, Features.of(4, 0.1), **how)


def test_run_suite_takes_a_name() -> None:
    with pytest.raises(BadInput, match="there is no suite 'quik': did you mean quick"):
        run_suite("quik")


def test_the_rooms_front_is_light_and_complete() -> None:
    """Nothing heavy is loaded before it is asked for, and everything promised is there."""
    code = (
        "import sys, validate\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
        "assert all(hasattr(validate, name) for name in validate.__all__)\n"
        "assert set(validate.__all__) <= set(dir(validate))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        __import__("validate").trian  # noqa: B018


def test_the_python_shown_in_the_docs_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (shown,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(shown, {})
    printed = capsys.readouterr().out.splitlines()
    assert printed == re.findall(r"print\(.*\)  # (.*)", shown)
