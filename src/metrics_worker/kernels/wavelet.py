"""A wavelet matrix: an index of the values of a series that finds order statistics of many windows at once.

The values are replaced by their ranks. Each level of the matrix separates the ranks by one binary digit,
beginning with the highest. One pass over the levels answers a question about every window: which value is the
k-th smallest, or how many values are below a given value.
"""

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.rolling import Values

type Positions = NDArray[np.int64]
type Mask = NDArray[np.bool_]


class WaveletMatrix:
    """An index of an array of values, for queries about many windows of consecutive values.

    Args:
        values: the values, without NaN.

    Attributes:
        ordered: the values in increasing order; the rank of a value is its position in this array.
    """

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
        """Return for each window k the value at position `place[k]` (from 0) in its sorted order.

        Window k contains the values from position `first[k]` up to but not including `stop[k]`.
        """
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
        """Return for each window k the number of values whose rank in the matrix is less than `rank[k]`.

        Window k contains the values from position `first[k]` up to but not including `stop[k]`.
        """
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
    """The state of a query while it descends the levels of a wavelet matrix.

    The state is the position, on the current level, at which each window begins and stops. Its arrays are
    allocated once and overwritten on each level.
    """

    def __init__(self, first: Positions, stop: Positions) -> None:
        self._bounds = first.copy(), stop.copy()
        self._zeros = np.empty_like(first), np.empty_like(stop)
        self._number = np.empty_like(first)

    def zeros_in_window(self, zeros: Positions) -> Positions:
        """Return for each window the number of its ranks whose current binary digit is 0.

        `zeros[i]` is the number of zeros among the digits of the first i ranks of the level.
        """
        for bound, before in zip(self._bounds, self._zeros, strict=True):
            np.take(zeros, bound, out=before, mode="clip")
        return np.subtract(self._zeros[1], self._zeros[0], out=self._number)

    def descend(self, one: Mask, zeros: Positions) -> None:
        """Move to the next level, and keep in each window only the ranks with the wanted digit on this level.

        Args:
            one: for each window, whether the wanted digit is 1; otherwise it is 0.
            zeros: as in `zeros_in_window`.
        """
        for bound, before in zip(self._bounds, self._zeros, strict=True):
            np.subtract(bound, before, out=bound)
            np.add(bound, zeros[-1], out=bound)
            np.copyto(before, bound, where=one)
        self._bounds, self._zeros = self._zeros, self._bounds
