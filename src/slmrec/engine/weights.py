"""Whether weights have changed since something was computed from them."""

from collections.abc import Iterable

from torch import Tensor

Stamp = tuple[tuple[int, int], ...]


def stamp(weights: Iterable[Tensor]) -> Stamp:
    """What differs after any of the weights was written to or replaced; made in microseconds, it reads no values.

    One writer goes unseen: torch's fused optimisers leave the version counters as they were. So who keeps something by
    a stamp also has to forget it when its model is switched to training and back.
    """
    return tuple((weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in weights)
