"""The keys each verb prints with --json, as JSON schemas. More keys may be added, none removed."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
MAYBE: Schema = {"type": ["number", "null"]}
PROBABILITY: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
COMPLEMENT: Schema = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}


def some(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def one_or_each(value: Schema) -> Schema:
    return {"oneOf": [value, some(value)]}


def null_or(value: Schema) -> Schema:
    return {"oneOf": [{"type": "null"}, value]}


def answer(**keys: Schema) -> Schema:
    """An object that has all these keys."""
    return {"type": "object", "required": sorted(keys), "properties": keys}


_ASKED: dict[str, Schema] = {
    "S": one_or_each(PROBABILITY),
    "one_minus_S": one_or_each(COMPLEMENT),
    "law": {"enum": ["binary", "uniform", "exponential"]},
    "importance": some({"type": "number", "minimum": 0}),
    "bias": FLAG,
    "relu": FLAG,
    "n": COUNT,
    "d": COUNT,
}

LOSS = answer(
    loss={"type": "number", "minimum": 0},
    capacity={"type": "number", "minimum": 0},
    interference=NUMBER,
    per_feature=some({"type": "number", "minimum": 0}),
    error_bound={"type": ["number", "null"], "minimum": 0},
    orientation={"enum": ["d,n", "n,d"]},
    note=TEXT,
    method=TEXT,
    **_ASKED,
)

OPTIMAL = answer(
    loss={"type": "number", "minimum": 0},
    capacity={"type": "number", "minimum": 0},
    interference=NUMBER,
    W=some(some(NUMBER)),
    b=some(NUMBER),
    name=TEXT,
    blocks=some(answer(name=TEXT, features=some(COUNT))),
    represented=COUNT,
    dimensionality=some(MAYBE),
    status=TEXT,
    advice=TEXT,
    error_bound=MAYBE,
    hits=COUNT,
    starts=COUNT,
    gradient_norm=MAYBE,
    stable=FLAG,
    spectrum=some(NUMBER),
    D_star=MAYBE,
    per_feature=some(NUMBER),
    **_ASKED,
)

RUNG = answer(
    S=PROBABILITY,
    one_minus_S=COMPLEMENT,
    bracket={"type": "array", "items": PROBABILITY, "minItems": 2, "maxItems": 2},
    denser=TEXT,
    sparser=TEXT,
    order={"enum": ["first", "continuous"]},
    polynomial={"type": ["string", "null"]},
)

CRITICAL = answer(
    S_star=null_or(PROBABILITY),
    one_minus_S_star=MAYBE,
    S_onset=null_or(PROBABILITY),
    one_minus_S_onset=MAYBE,
    S_min=PROBABILITY,
    one_minus_S_min=COMPLEMENT,
    ladder=some(RUNG),
    represented=some(
        answer(**{"from": {"type": "number"}, "to": {"type": "number"}, "count": COUNT})
    ),
    status=TEXT,
    advice=TEXT,
    **{key: _ASKED[key] for key in ("n", "d", "law", "importance", "bias", "relu")},
)

_FOUND = {
    "n": COUNT,
    "d": COUNT,
    "criterion": {"enum": ["angle", "coulomb", "riesz", "lines"]},
    "exponent": MAYBE,
    "seed": COUNT,
    "status": {"enum": ["proved", "meets-bound", "found-often", "found-rarely", "unfinished"]},
    "search_status": {"enum": ["proved", "found-often", "found-rarely", "unfinished"]},
    "advice": TEXT,
    "reached": COUNT,
    "runs": COUNT,
    "max_cosine": MAYBE,
    "min_angle_deg": MAYBE,
    "coherence": MAYBE,
    "energy": MAYBE,
    "value": MAYBE,
    "bound": MAYBE,
    "gap": MAYBE,
    "bound_name": null_or(TEXT),
    "bound_source": null_or(TEXT),
    "certificate": null_or(answer(cosine=TEXT, proved=FLAG, sentence=TEXT)),
    "existence": null_or(answer(status=TEXT, sentence=TEXT, cosine={"type": "string"})),
    "algebraic": null_or(answer(status=TEXT, sentence=TEXT, polynomial=null_or(TEXT))),
}

CODE = answer(
    vectors=some(some(NUMBER)),
    name=TEXT,
    verdict={"enum": ["optimal (proved)", "meets the bound", "open", "impossible"]},
    why=TEXT,
    contacts=some({"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2}),
    rattlers=some(COUNT),
    seconds=NUMBER,
    **_FOUND,
)

NO_CODE = answer(
    **{key: {"type": "null"} for key in ("vectors", "name", "verdict", "contacts", "rattlers")},
    **_FOUND,
)

BOUNDS = answer(
    n=null_or(COUNT),
    d=COUNT,
    cosine=null_or(TEXT),
    bounds=some(
        answer(
            name=TEXT,
            quantity={"enum": ["max_cosine", "coherence", "points", "lines", "energy"]},
            direction={"enum": ["at least", "at most"]},
            value=NUMBER,
            exact=null_or(TEXT),
            holds=TEXT,
            source=TEXT,
            rigorous=FLAG,
            attained=null_or(TEXT),
        )
    ),
)

IDENTIFY = answer(
    name=TEXT,
    blocks=some(
        answer(
            name=TEXT,
            features=some(COUNT),
            symmetry_order=null_or({"type": "integer", "minimum": 1}),
            distance=MAYBE,
            nearest=null_or(TEXT),
            nearest_distance=MAYBE,
            fingerprint=null_or(TEXT),
            exact=some(TEXT),
        )
    ),
    rattlers=some(COUNT),
    represented=COUNT,
    ignored=some(COUNT),
    noise=NUMBER,
    chance=NUMBER,
    n=COUNT,
    d=COUNT,
    tolerance=NUMBER,
    orientation={"enum": ["d,n", "n,d"]},
    note=TEXT,
)

ARRANGEMENTS = answer(
    title=TEXT,
    columns=some(TEXT),
    rows=some(
        answer(
            **{key: _FOUND[key] for key in ("n", "d", "max_cosine", "min_angle_deg", "energy")},
            **{key: _FOUND[key] for key in ("bound", "gap", "bound_name")},
            name=null_or(TEXT),
            known=TEXT,
        )
    ),
)

SCHEMAS = {
    "code": CODE,
    "bounds": BOUNDS,
    "identify": IDENTIFY,
    "loss": LOSS,
    "optimal": OPTIMAL,
    "critical": CRITICAL,
}
