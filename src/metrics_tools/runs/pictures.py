"""A run as a picture: a PNG of the metric and its inputs."""

import io
from collections.abc import Mapping

from metrics_tools.console import impossible
from metrics_tools.runs.plots import hindrance, moment
from metrics_worker.series import Series

MOST_INPUTS = 6
"""Inputs that are drawn below the metric; of more, the first."""


def picture_of(title: str, unit: str, metric: Series, inputs: Mapping[str, Series]) -> bytes:
    """Draw a metric, and its inputs below it on the same days; return the PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - a second, for pictures alone

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    if (why := hindrance(metric)) and len(metric) > 1:
        raise impossible(f"The metric can't be drawn: {why}.")
    drawn = {code: series for code, series in inputs.items() if len(series) == 1 or not hindrance(series)}
    below = dict(list(drawn.items())[:MOST_INPUTS])
    heights = [3.0, *[1.0] * len(below)]
    figure, axes = plt.subplots(
        len(heights),
        sharex=True,
        squeeze=False,
        figsize=(11, 4 + 1.3 * len(below)),
        height_ratios=heights,
        layout="constrained",
    )
    for axis, (label, series, colour) in zip(
        axes[:, 0],
        [(unit, metric, "#1f4e79"), *((code, series, "#777777") for code, series in below.items())],
        strict=True,
    ):
        axis.plot([moment(time) for time in series.times], series.values, linewidth=0.9, color=colour)
        axis.set_ylabel(label, fontsize=8, rotation=90 if series is metric else 0, ha="right")
        axis.grid(alpha=0.3)
        axis.margins(x=0.01)
    axes[0, 0].set_title(title, loc="left", fontsize=11)
    file = io.BytesIO()
    try:
        figure.savefig(file, dpi=120, format="png")
    finally:
        plt.close(figure)
    return file.getvalue()
