"""The description of an expression shows the correct counts of observations and losses for each node.

The counts agree with the worker's evaluation and with a slow count.
"""

import math
import operator
from dataclasses import asdict

from hypothesis import given, settings

from metrics_tools.describe.counts import Overlap
from metrics_tools.describe.nodes import counted, outlined
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import children, parse
from metrics_worker.expression.nodes import (
    Composite,
    Constant,
    Ema,
    Fill,
    Lag,
    SeriesMath,
    SeriesRef,
    WindowOp,
)
from tests.property.strategies import (
    all_expressions,
    calendar_inputs,
    expressions,
    inputs,
    single_nodes,
    wild,
)

OPERATIONS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "ratio": lambda a, b: a / b if b else math.nan,
}


def views(view):
    yield view
    for operand in view.operands:
        yield from views(operand)


def by_time(series):
    return dict(zip(series.times.tolist(), series.values.tolist(), strict=True))


@settings(deadline=None, max_examples=250)
@given(expressions, inputs(wild))
def test_a_node_counts_the_observations_of_its_evaluation_and_a_reason_for_every_other_time(
    expression, series
):
    for view in views(counted(parse(expression), series)):
        result, counts = evaluate(view.node, series), view.counts
        assert counts.observations == len(result)
        assert counts.times == counts.observations + counts.lost.total
        operands = [by_time(evaluate(child, series)) for child in children(view.node)] or [by_time(result)]
        assert counts.times == len(set().union(*operands))


@settings(deadline=None, max_examples=150)
@given(single_nodes | all_expressions, calendar_inputs(wild))
def test_each_time_of_every_kind_of_node_has_an_observation_or_one_reason(expression, series):
    for view in views(counted(parse(expression), series)):
        if isinstance(view.node, Constant):
            assert view.counts is None
            continue
        result, counts = evaluate(view.node, series), view.counts
        assert counts.observations == len(result)
        assert min(asdict(counts.lost).values()) >= 0
        assert counts.times == counts.observations + counts.lost.total
        operands = [evaluate(child, series) for child in children(view.node) if type(child) is not Constant]
        if isinstance(view.node, Fill):
            operands = operands[1:]
        assert counts.times == len(set().union(*map(by_time, operands or [result])))


@settings(deadline=None, max_examples=250)
@given(expressions, inputs(wild))
def test_the_overlap_of_two_sides_equals_a_count_in_plain_python(expression, series):
    for view in views(counted(parse(expression), series)):
        if not isinstance(view.node, SeriesMath):
            assert view.counts.overlap is None
            continue
        left, right = (set(by_time(evaluate(child, series))) for child in children(view.node))
        begin, end = (max(min(left), min(right)), min(max(left), max(right))) if left and right else (1, 0)
        ours, its = ({time for time in side if begin <= time <= end} for side in (left, right))
        days = {time // 86_400_000_000 for time in ours} & {time // 86_400_000_000 for time in its}
        assert view.counts.overlap == Overlap(len(ours), len(its), len(left & right), len(days))


@settings(deadline=None, max_examples=250)
@given(expressions, inputs(wild))
def test_losses_are_counted_under_the_same_reasons_as_in_plain_python(expression, series):
    for view in views(counted(parse(expression), series)):
        operands = [by_time(evaluate(child, series)) for child in children(view.node)]
        lost, counts = view.counts.lost, view.counts
        match view.node:
            case SeriesRef():
                assert lost.total == 0
            case SeriesMath(op=op, scale=scale):
                left, right = operands
                both = left.keys() & right.keys()
                zero = {t for t in both if op == "ratio" and right[t] == 0}
                values = [OPERATIONS[op](left[t], right[t]) * scale for t in both - zero]
                assert (lost.left_only, lost.right_only) == (len(left) - len(both), len(right) - len(both))
                assert lost.zero_divisor == len(zero)
                assert lost.not_finite == sum(not math.isfinite(value) for value in values)
                assert lost.warm_up == 0
            case WindowOp(op=op, window=window) | Ema(op=op, window=window) | Lag(op=op, window=window):
                (only,) = operands
                early = [place for place in range(len(only)) if place < window - (op != "lag")]
                assert lost.warm_up == (0 if op == "ema" else len(early))
                assert lost.total == lost.warm_up + lost.not_finite
            case Composite():
                everywhere = set.intersection(*(set(operand) for operand in operands))
                assert counts.of_all == len(everywhere)
                assert counts.of_some == counts.times - len(everywhere)
                assert lost.total == lost.not_finite


@settings(deadline=None, max_examples=100)
@given(expressions | all_expressions, inputs(wild))
def test_the_tree_without_series_equals_the_tree_with_series_except_for_counts(expression, series):
    node = parse(expression)

    def bare(view):
        return (view.path, view.node, view.kind, view.formula, view.words, [*map(bare, view.operands)])

    assert bare(outlined(node)) == bare(counted(node, series))
