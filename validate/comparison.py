"""What training reached beside what theory predicts, setting by setting: `packing table trained`.

A store holds models of any suites. For each setting the best model stands beside the predicted
optimum: excess = (trained - predicted) / predicted, which theory says is never negative. A model
whose exact loss lies below the prediction by more than both error bounds is a defeat.
The trained loss is exact (`theory.loss` on trained weights), the prediction numerical (a search).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from packing.results import Result, Table
from packing.types import Progress
from validate import predict
from validate.experiments import Model, Setting
from validate.store import row_of

COLUMNS = (
    *("n", "d", "S", "one_minus_S", "law", "importance", "bias", "relu", "models"),
    *("trained_loss", "predicted_loss", "excess", "trained", "predicted"),
    *("represented", "predicted_represented", "defeats"),
)
USUAL = ("importance", "bias", "relu")
"""Columns that would only widen the table where they are as by default everywhere."""

DIGITS = {"trained_loss": 7, "predicted_loss": 7, "excess": 3, "one_minus_S": 6}
TITLE = "Trained models beside the predicted optima"


@dataclass(frozen=True, repr=False)
class TrainedTable(Result):
    """Training beside theory.

    Parameters
    ----------
    rows : tuple of dict
        One per setting, a value for each of `COLUMNS`.
    dependent : int
        Models left out since their features are not independent: theory does not speak of them.
    defeats : int
        Models below the predicted optimum.
    """

    rows: tuple[dict[str, Any], ...]
    dependent: int
    defeats: int

    @property
    def columns(self) -> list[str]:
        """Columns worth their room."""
        plain = [n for n in USUAL if all(row[n] in (None, True) for row in self.rows)]
        return [name for name in COLUMNS if name not in plain]

    def _values(self) -> dict[str, Any]:
        rows = [{name: row[name] for name in self.columns} for row in self.rows]
        return {"title": TITLE, "columns": self.columns, "rows": rows}

    def _facts(self) -> list[tuple[str, str]]:
        return [("settings", str(len(self.rows))), ("defeats", str(self.defeats))]

    def _tables(self) -> list[Table]:
        rows = [[row[name] for name in self.columns] for row in self.rows]
        return [Table(TITLE, self.columns, rows, DIGITS)]


def trained(models: Sequence[Model], *, progress: Progress | None = None) -> TrainedTable:
    """Trained models beside the optima that theory predicts, one row for each setting.

    The best model of a setting stands in its row; excess is by how much its exact loss lies above
    the predicted one, as a fraction of the latter. Models of dependent features are left out.

    Parameters
    ----------
    models : sequence of (Trained, Measured)
        From a store.
    progress : callable, optional
        Called with a stage and the fraction done; a prediction can take a minute.

    Returns
    -------
    TrainedTable
        The predictions are numerical: the best of a search (`theory.optimum`).
    """
    groups: dict[Setting, list[Model]] = {}
    for model in models:
        groups.setdefault(model[0].run.setting, []).append(model)
    spoken = {setting: held for setting, held in groups.items() if setting.independent}
    rows = []
    for done, setting in enumerate(sorted(spoken, key=_place)):
        if progress is not None:
            progress("predictions", done / len(spoken))
        rows.append(_row(setting, spoken[setting]))
    return TrainedTable(
        rows=tuple(rows),
        dependent=sum(len(held) for setting, held in groups.items() if not setting.independent),
        defeats=sum(row["defeats"] for row in rows),
    )


def _place(setting: Setting) -> tuple[Any, ...]:
    S = setting.S if isinstance(setting.S, tuple) else (setting.S,)
    return setting.law, setting.n, setting.d, [-x for x in S], repr(setting)


def _row(setting: Setting, held: Sequence[Model]) -> dict[str, Any]:
    best = predict.truth(setting)
    row = {name: value for name, value in row_of(*held[0]).items() if name in COLUMNS}
    row |= {"models": len(held), "predicted_loss": best.loss, "predicted": best.name}
    row |= {"predicted_represented": best.represented, "defeats": 0}
    row |= dict.fromkeys(("trained_loss", "excess", "trained", "represented"))
    losses = [(measured.loss, measured) for _, measured in held if measured.loss is not None]
    if losses:
        reached, model = min(losses, key=lambda pair: pair[0])
        row |= {"trained_loss": reached, "trained": model.name, "represented": model.represented}
        row["excess"] = reached / best.loss - 1.0 if best.loss > 0.0 else None
        row["defeats"] = sum(
            total + (measured.error_bound or 0.0) < best.loss - best.rounding
            for total, measured in losses
        )
    return {name: row[name] for name in COLUMNS}
