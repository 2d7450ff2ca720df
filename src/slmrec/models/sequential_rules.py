"""Sequential rules (SR; Ludewig and Jannach, UMUAI 2018): what followed the history's items, soon after most of all.

    w(j, i) = (1 / n_j) Σ_{u, p, q : x_p = j, x_q = i} 1 / (q - p)        0 < q - p ≤ window; in `neighbours.py`

summed over the users u of the training split, p and q being positions of their histories. n_j, the sum over all i,
makes each item's rules shares of one: with window 1, and of the last item alone, this is a first-order Markov chain.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from slmrec.data import Dataset
from slmrec.models.neighbours import Block, Neighbours, NeighboursConfig, strongest


class SequentialRulesConfig(NeighboursConfig):
    """Shape of sequential rules."""

    model_type = "sequential-rules"


class SequentialRules(Neighbours):
    """Sequential rules over a catalogue."""

    kind = "sequential-rules"
    config_class = SequentialRulesConfig

    @classmethod
    def from_data(
        cls, data: Dataset, neighbours: int = 100, window: int = 3, decay: float = 0.8, max_length: int = 50
    ) -> "SequentialRules":
        """Count the rules of the training split.

        Args:
            data: the data set.
            neighbours: K.
            window: later events that an event makes a rule with.
            decay: δ.
            max_length: most recent items of a history that are read.
        """
        neighbours = min(neighbours, data.num_items)
        config = SequentialRulesConfig(
            num_items=data.num_items, neighbours=neighbours, decay=decay, max_length=max_length
        )
        return cls._of(config, data, _blocks(data, neighbours, window))


def _blocks(data: Dataset, count: int, window: int) -> Iterator[Block]:
    sequences = data.train_sequences()
    users = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    items = np.concatenate(sequences)
    size = data.num_items + 1
    total = sparse.csr_array((size, size), dtype=np.float32)
    for distance in range(1, window + 1):
        own = users[:-distance] == users[distance:]
        before, after = items[:-distance][own], items[distance:][own]
        total += sparse.csr_array(
            (np.full(len(before), 1 / distance, dtype=np.float32), (before, after)), shape=(size, size)
        )
    sums = total.sum(axis=1)
    rules = sparse.coo_array(total)
    rows, found = rules.coords
    yield strongest(rows, found, rules.data / sums[rows], count)
