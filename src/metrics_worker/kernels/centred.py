"""Sums of deviations and of their products over fixed windows, in a time that does not depend on the window.

The series is divided into blocks of `window` values. A window generally consists of the end of one block and
the beginning of the next block. The first value of the next block is the centre of the window: deviations are
differences from this value. A window that is itself a block has its own first value as its centre. No value
outside a window takes part in the sums of the window.

Each value belongs to the ends of some windows and to the beginnings of others, so it has two deviations: from
the first value of the next block, and from the first value of its own block. Cumulative sums within each
block, from right to left and from left to right, then give the sum of a window by one addition:

    sum of a window = sum of the end of a block + sum of the beginning of the next block
"""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.rolling import Values, scratch_arrays

type Terms = NDArray[np.complex128]

# Blocks longer than this are accumulated in runs, so that fewer roundings follow one another.
_RUN = 256


def centred_sums(series: Values, window: int) -> Terms:
    """Return sums of deviations from the centre of each window, for one or two series of equal length.

    Args:
        series: one row for each series, shape (1, n) or (2, n).
        window: the number of values of a window, from 1 to n.

    Returns:
        A scratch array with one column for each of the n - window + 1 windows; the next kernel call in the
        thread overwrites the array. Each series has a row: the real part is the sum of the deviations, the
        imaginary part the sum of the squared deviations. Two series have a third row, whose real part is the
        sum of the products of their deviations.
    """
    count, length = series.shape
    total = length - window + 1
    blocks = -(-total // window)
    padded = np.empty((count, (blocks + 1) * window))
    padded[:, :length], padded[:, length:] = series, series[:, -1:]
    values = padded.reshape(count, blocks + 1, window)
    shape = 2 * count - 1, blocks + 1, window
    size = shape[0] * padded.shape[1]
    terms, ahead, behind = (
        array[: 2 * size].view(np.complex128).reshape(shape) for array in scratch_arrays(3, 2 * size)
    )
    _write_terms(values, values[:, :, :1], terms)
    _accumulate(terms, ahead)
    _write_terms(values[:, :-1], values[:, 1:, :1], terms[:, :-1])
    _accumulate(terms[:, :-1, ::-1], behind[:, :-1, ::-1])
    # The window that begins with a block is this block, and needs nothing of the next block.
    behind[:, :-1, 0] = ahead[:, :-1, -1]
    ahead[:, :, -1] = 0
    sums: Terms = behind.reshape(shape[0], -1)[:, :total]
    sums += ahead.reshape(shape[0], -1)[:, window - 1 : length]
    return sums


def centres(values: Values, window: int) -> Values:
    """Return the centre of each window: the value from which `centred_sums` computes deviations."""
    total = len(values) - window + 1
    result = np.repeat(values[window::window], window)[:total]
    result = np.concatenate([result, np.repeat(values[-1:], total - len(result))])
    result[::window] = values[:total:window]
    return result


def _write_terms(values: Values, centres: Values, terms: Terms) -> None:
    """Write the terms that `centred_sums` adds into the rows of `terms`.

    A row of a series gets the deviations (real part) and their squares (imaginary part). For two series, a
    third row gets the products of the deviations (real part) and zeros.

    Args:
        values: the values of one or two series; the first axis is the series.
        centres: the values from which the deviations are computed; broadcast to the shape of `values`.
        terms: the array to write.
    """
    count = len(values)
    deviations = terms.real[:count]
    np.subtract(values, centres, out=deviations)
    np.multiply(deviations, deviations, out=terms.imag[:count])
    if count > 1:
        np.multiply(deviations[0], deviations[1], out=terms.real[count])
        terms.imag[count] = 0


def _accumulate(terms: Terms, out: Terms) -> None:
    """Write the cumulative sums of `terms` along the last axis into `out`, which has the same shape.

    The last axis contains the values of one block. One complex addition adds a deviation and its square, in
    the time of a real addition. To limit rounding errors, a block of n values is summed in runs of r values,
    where r is 256 or, if it is larger, sqrt(n): no value then passes through more than r + n / r additions.
    """
    window = terms.shape[-1]
    run = min(window, max(_RUN, isqrt(window)))
    whole = window - window % run
    runs = out[..., :whole].reshape(*out.shape[:-1], -1, run)
    np.add.accumulate(terms[..., :whole].reshape(runs.shape), axis=-1, out=runs)
    if window <= _RUN:
        return
    before = np.add.accumulate(runs[..., -1], axis=-1)
    runs[..., 1:, :] += before[..., :-1, None]
    if whole < window:
        rest = out[..., whole:]
        np.add.accumulate(terms[..., whole:], axis=-1, out=rest)
        rest += before[..., -1:]
