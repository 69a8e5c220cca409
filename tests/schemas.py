"""The keys each verb prints with --json, as JSON schemas. More keys may be added, none removed."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
EVIDENCE: Schema = {"enum": ["proved", "enclosed", "numerical", "unsettled"]}
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
    distortion={"type": "number", "minimum": 0},
    blocks=some(answer(name=TEXT, features=some(COUNT), distortion=MAYBE)),
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
    "status": EVIDENCE,
    "search_status": EVIDENCE,
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
    verdict=EVIDENCE,
    impossible=FLAG,
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
            rigorous=EVIDENCE,
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
            distortion=MAYBE,
            nearest=null_or(TEXT),
            nearest_distance=MAYBE,
            fingerprint=null_or(TEXT),
            exact=some(TEXT),
            orbits=some(
                answer(
                    features=some(COUNT),
                    copies=COUNT,
                    norm=NUMBER,
                    cosines=some({"type": "array", "items": NUMBER}),
                )
            ),
        )
    ),
    distortion={"type": "number", "minimum": 0},
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
            known=EVIDENCE,
            found=TEXT,
        )
    ),
)

_SETTING: dict[str, Schema] = {
    "n": COUNT,
    "d": COUNT,
    "S": one_or_each(PROBABILITY),
    "one_minus_S": one_or_each(COMPLEMENT),
    "law": _ASKED["law"],
}

_VERDICT: Schema = {"enum": ["agree", "disagree", "inconclusive"]}

CHECK = answer(
    name=TEXT,
    cell=TEXT,
    quantity=TEXT,
    predicted=MAYBE,
    measured=MAYBE,
    interval={"type": "array", "items": MAYBE, "minItems": 2, "maxItems": 2},
    tolerance={"type": "number", "exclusiveMinimum": 0},
    reason=TEXT,
    unit={"type": "string"},
    verdict=_VERDICT,
    status=TEXT,
    controls=some(
        answer(
            name=TEXT,
            predicted=MAYBE,
            shift=MAYBE,
            power=FLAG,
            verdict=_VERDICT,
            rejected=FLAG,
        )
    ),
)

VALIDATE = answer(
    suite=TEXT,
    title=TEXT,
    hash=TEXT,
    changed=FLAG,
    verdict={"enum": ["agree", "disagree", "defeated", "broken", "inconclusive"]},
    advice=TEXT,
    checks=some(CHECK),
    broken=some(TEXT),
    defeats=some(
        answer(
            key=TEXT,
            seed=COUNT,
            loss=NUMBER,
            error_bound=NUMBER,
            predicted=NUMBER,
            rounding=NUMBER,
            **_SETTING,
        )
    ),
    statements=some(answer(id=TEXT, text=TEXT, verdict=null_or(TEXT))),
    models=COUNT,
    diverged=COUNT,
    compared=COUNT,
    predictions=COUNT,
    alpha=PROBABILITY,
    device=TEXT,
    seconds=NUMBER,
    sessions=some(
        answer(
            id=COUNT,
            suite=TEXT,
            suite_hash=TEXT,
            device=TEXT,
            versions={"type": "object", "additionalProperties": TEXT},
            started=TEXT,
            ended=null_or(TEXT),
            outcome=null_or(TEXT),
        )
    ),
    store=TEXT,
    report=TEXT,
)

SUITES = answer(
    suites=some(
        answer(
            name=TEXT,
            title=TEXT,
            about=TEXT,
            minutes={"type": "number", "exclusiveMinimum": 0},
            needs=TEXT,
            models=COUNT,
            checks=some(TEXT),
            statements=some(TEXT),
            hash=TEXT,
        )
    )
)

TRAINED = answer(
    title=TEXT,
    columns=some(TEXT),
    rows=some(
        answer(
            **{**_SETTING, "S": {}, "one_minus_S": {}},  # one per feature: text, as in CSV
            models=COUNT,
            trained_loss=MAYBE,
            predicted_loss=NUMBER,
            excess=MAYBE,
            trained=null_or(TEXT),
            predicted=TEXT,
            represented=null_or(COUNT),
            predicted_represented=COUNT,
            defeats=COUNT,
        )
    ),
)

TABLE = answer(title=TEXT, columns=some(TEXT), rows=some(answer(known=TEXT)))
"""Any kind of `packing table`: every row says how it is known."""

_AXES = {
    "kind": {"enum": ["ladder", "diagram", "importance", "staircase"]},
    "law": {"enum": ["binary", "uniform"]},
}
_SEEN = answer(
    share={"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    S_low=PROBABILITY,
    S_high=PROBABILITY,
    one_minus_S_low=COMPLEMENT,
    one_minus_S_high=COMPLEMENT,
    ratio_low=NUMBER,
    ratio_high=NUMBER,
)

PICTURES = {
    "ladder": answer(
        n=COUNT,
        d=COUNT,
        S_star=MAYBE,
        one_minus_S_star=MAYBE,
        S_onset=MAYBE,
        one_minus_S_onset=MAYBE,
        optimum_S_star=MAYBE,
        one_minus_optimum_S_star=MAYBE,
        rows=some(answer(ladder=TEXT, phase=TEXT, S_high=PROBABILITY, S_low=PROBABILITY)),
        **_AXES,
    ),
    "diagram": answer(
        ratio=some(NUMBER),
        S=some(PROBABILITY),
        one_minus_S=some(COMPLEMENT),
        loss=some(some(NUMBER)),
        names=some(TEXT),
        first=some(some(COUNT)),
        ignored=some(some(FLAG)),
        rows=some(_SEEN),
        **_AXES,
    ),
    "importance": answer(
        n=COUNT,
        d=COUNT,
        ratio=some(NUMBER),
        S=some(PROBABILITY),
        one_minus_S=some(COMPLEMENT),
        loss=some(some(NUMBER)),
        names=some(TEXT),
        phase=some(some(COUNT)),
        norms=some(some(some(NUMBER))),
        rows=some(_SEEN),
        prototypes=some(answer(name=TEXT, loss=TEXT)),
        **_AXES,
    ),
    "staircase": answer(
        n=COUNT,
        d=COUNT,
        S=some(PROBABILITY),
        one_minus_S=some(COMPLEMENT),
        D_star=some(NUMBER),
        represented=some(COUNT),
        phases=some(TEXT),
        **_AXES,
    ),
}
"""Kinds of `packing phases`."""

SCHEMAS = {
    "code": CODE,
    "bounds": BOUNDS,
    "identify": IDENTIFY,
    "loss": LOSS,
    "optimal": OPTIMAL,
    "critical": CRITICAL,
    "validate": VALIDATE,
}
