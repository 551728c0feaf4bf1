"""A wavelet matrix: an index of the order of values, which finds order statistics of many windows at once."""

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.rolling import Values

type Positions = NDArray[np.int64]
type Mask = NDArray[np.bool_]


class WaveletMatrix:
    """The ranks of some values, separated by one binary digit after the other, beginning with the highest."""

    def __init__(self, values: Values) -> None:
        order = np.argsort(values)
        self.ordered = values[order]
        ranks = np.empty(len(values), dtype=np.int32)
        ranks[order] = np.arange(len(values), dtype=np.int32)
        self._levels: list[tuple[int, Positions]] = []
        for digit in reversed(range(len(values).bit_length())):
            zero = ranks & (1 << digit) == 0
            zeros = np.zeros(len(values) + 1, dtype=np.int64)
            np.cumsum(zero, out=zeros[1:])
            self._levels.append((1 << digit, zeros))
            ranks = np.concatenate([ranks[zero], ranks[~zero]])

    def smallest(self, first: Positions, stop: Positions, place: Positions) -> Values:
        """Return the value at a place (from 0) in the sorted order of each window."""
        place, rank = place.copy(), np.zeros(len(first), dtype=np.int64)
        walk = _Walk(first, stop)
        for digit, zeros in self._levels:
            number = walk.zeros_in_window(zeros)
            one = place >= number
            walk.descend(one, zeros)
            number *= one
            place -= number
            rank |= np.multiply(one, digit, out=number)
        found: Values = self.ordered[rank]
        return found

    def number_below(self, first: Positions, stop: Positions, rank: Positions) -> Positions:
        """Return how many values of each window have a smaller rank than `rank`."""
        below = np.zeros(len(first), dtype=np.int64)
        walk = _Walk(first, stop)
        for digit, zeros in self._levels:
            number = walk.zeros_in_window(zeros)
            one = (rank & digit).astype(np.bool_)
            walk.descend(one, zeros)
            number *= one
            below += number
        return below


class _Walk:
    """The bounds of windows on successive levels of a wavelet matrix, in arrays that are used again."""

    def __init__(self, first: Positions, stop: Positions) -> None:
        self._bounds = first.copy(), stop.copy()
        self._zeros = np.empty_like(first), np.empty_like(stop)
        self._number = np.empty_like(first)

    def zeros_in_window(self, zeros: Positions) -> Positions:
        """Return the number of ranks with the digit 0; `zeros[i]` is the number in the first i ranks."""
        for bound, before in zip(self._bounds, self._zeros, strict=True):
            np.take(zeros, bound, out=before, mode="clip")
        return np.subtract(self._zeros[1], self._zeros[0], out=self._number)

    def descend(self, one: Mask, zeros: Positions) -> None:
        """Keep the ranks with the digit 1 in the windows where `one` is true, else those with the digit 0."""
        for bound, before in zip(self._bounds, self._zeros, strict=True):
            np.subtract(bound, before, out=bound)
            np.add(bound, zeros[-1], out=bound)
            np.copyto(before, bound, where=one)
        self._bounds, self._zeros = self._zeros, self._bounds
