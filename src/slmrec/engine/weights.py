"""Whether weights have changed since something was computed from them."""

from collections.abc import Iterable

from torch import Tensor

Stamp = tuple[tuple[int, int], ...]


def stamp(weights: Iterable[Tensor]) -> Stamp:
    """What differs after any of the weights was written to or replaced; made in microseconds, it reads no values."""
    return tuple((weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in weights)
