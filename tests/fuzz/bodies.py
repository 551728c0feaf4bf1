"""Generators of batches of SQS records, whose bodies and attributes are arbitrary or almost valid."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.builders import (
    Cloud,
    day,
    envelope,
    put_a_and_b,
    put_dataset,
    ratio,
    record,
    request,
    rows,
    series,
    window,
)
from tests.fuzz.case import Case
from tests.fuzz.json_trees import AGAIN, NUMBERS, RAW, STRINGS, any_json, damaged, mutated, strings, text

REQUESTS: list[dict[str, Any]] = [
    request(),
    request(schema="metrics.run.v1"),
    request(window("ema", series("A"), 3), kind="window_op", inputs={}, datasets=("fx", "more")),
    request(
        {
            "op": "avg",
            "operands": [ratio(series("A"), window("lag", series("B"), 2), scale=100), series("C")],
        },
        kind="composite",
        inputs={"A": "fx", "C": "more"},
        datasets=("fx", "more"),
        schema="metrics.run.v1",
    ),
    request(
        window(
            "pct_change",
            {
                "op": "fill",
                "series": {
                    "op": "resample",
                    "series": series("A"),
                    "to": "week",
                    "how": "mean",
                    "partial": True,
                },
                "like": {"op": "clip", "series": series("B"), "lower": 0},
                "method": "previous",
                "max_age_days": 30,
            },
            1,
            unit="days",
            tz="America/St_Johns",
        ),
        kind="window_op",
    ),
    request(
        {
            "op": "subtract",
            "left": {"const": 1},
            "right": window("quantile", series("B"), 2, q=0.5, unit="weeks", min_periods=1),
        },
    ),
    request(
        series("C"), kind="series", inputs={"C": "more"}, datasets=("more",), metric="m", run_id="r" * 128
    ),
]
TIMESTAMPS = ["2026-10-30T11:59:58.123Z", *(name for name in STRINGS if len(name) < 40)]
COUNTS = ["1", "2", "5", "0", "-1", "", "٣", "²", "1.5", "99999999999999999999", "NaN", " 1", "\ud800", "1_0"]
TIMES = [
    "1793361597000",
    "0",
    "-1",
    "-62135596800001",
    "253402300800000",
    "9" * 30,
    "",
    "٣",
    "1e3",
    " 1793361597000 ",
    "x",
]


@cache
def objects() -> dict[str, bytes]:
    """Return a dict from key to body of the objects in the bucket to which the generated requests refer.

    The objects belong to the dataset `fx`, which has the series A and B, and to the dataset `more`, which has
    the series C.
    """
    cloud = Cloud()
    put_a_and_b(cloud.store)
    put_dataset(
        cloud.store, {"all.parquet": rows("C", [day(n) for n in range(1, 6)], range(5))}, dataset="more"
    )
    return {key: cloud.read(key) for key in cloud.keys()}  # noqa: SIM118 - Cloud is not a dict.


@st.composite
def _envelopes(draw: st.DrawFn, message: str) -> Any:
    """Generate an SNS notification that contains a message.

    The notification is valid, almost valid, or nested in another notification.
    """
    outer: dict[str, Any] = envelope(None) | {"Message": message}
    match draw(st.sampled_from(["right", "right", "type", "time", "twice", "nested", "mutated"])):
        case "type":
            if draw(st.booleans()):
                del outer["Type"]
            else:
                outer["Type"] = draw(any_json)
        case "time":
            outer["Timestamp"] = draw(st.one_of(st.sampled_from(TIMESTAMPS), any_json))
        case "twice":
            outer["Message" + AGAIN] = draw(st.one_of(st.just(message), any_json))
        case "nested":
            outer["Message"] = text(envelope(None) | {"Message": message})
        case "mutated":
            return draw(mutated(outer))
        case _:
            pass
    return outer


@st.composite
def requests(draw: st.DrawFn) -> str:
    """Generate the JSON text of a request with a few random changes.

    The request may be contained in an SNS notification.
    """
    whole = draw(st.sampled_from(REQUESTS))
    kept = (
        ("type", "runId", "metricCode") if draw(st.integers(0, 3)) else ()
    )  # With these fields, the outcome can be announced.
    event = draw(mutated({name: field for name, field in whole.items() if name not in kept}))
    if isinstance(event, dict):
        event |= {name: whole[name] for name in kept}
    body = text(event, plain=draw(st.booleans()))
    if draw(st.booleans()):
        return body
    return text(draw(_envelopes(body)), plain=draw(st.booleans()))


_others: st.SearchStrategy[str] = st.one_of(
    requests().flatmap(damaged),
    any_json.map(text),
    st.text(),
    st.binary().map(lambda raw: raw.decode("utf-8", "replace")),
    st.sampled_from([RAW, *STRINGS, *map(text, NUMBERS)]),
    st.sampled_from(REQUESTS).map(lambda event: text(event) + " " * 70_000),
)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Generate the body of an SQS record. Three of four bodies are almost valid requests."""
    return draw(requests() if draw(st.integers(0, 3)) else _others)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Generate a case with a batch of one to three records, whose attributes may be missing or unusual."""
    batch = []
    for number in range(draw(st.integers(1, 3))):
        found = record(draw(bodies()), message_id=f"message-{number}")
        attributes = found["attributes"]
        for name, unusual in (("ApproximateReceiveCount", COUNTS), ("SentTimestamp", TIMES)):
            match draw(st.sampled_from(["right", "right", "missing", "unusual"])):
                case "missing":
                    del attributes[name]
                case "unusual":
                    attributes[name] = draw(st.sampled_from(unusual))
        match draw(st.sampled_from(["alone", "alone", "shared", "missing", "unusual"])):
            case "alone":
                attributes["MessageGroupId"] = f"group-{number}"
            case "missing":
                del attributes["MessageGroupId"]
            case "unusual":
                attributes["MessageGroupId"] = draw(strings)
        batch.append(found)
    return Case(batch, objects())
