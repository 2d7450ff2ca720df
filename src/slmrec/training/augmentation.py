"""Training sequences that no user has had: teachers by scores can say what comes after any history.

What a teacher has learnt by heart it scores as it was trained to, and a student is asked about histories that are one
item longer than any it was taught on. So to each training sequence come copies of it, which

    are thinned: in every other copy each item but the newest is left out with probability `DROP`;
    go on:       one item more is drawn from the teachers' distribution p(i) ∝ exp z_i over the items not there yet;

and every position of a copy is taught, the last one too: the target that it lacks is drawn from p likewise.
"""

from collections.abc import Callable, Sequence

import numpy as np

from slmrec.data.batches import Example, LengthBatches
from slmrec.models import Ensemble

DROP = 0.2
BATCH = 256


def augmented(
    teachers: Ensemble,
    examples: Sequence[Example],
    copies: int,
    max_length: int,
    seed: int,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Example]:
    """``copies`` more of every training sequence.

    Args:
        teachers: who draw the items, together.
        examples: training sequences with a target at every position.
        copies: how many of each.
        max_length: inputs of a copy at most; its oldest items go.
        seed: of what is left out and drawn.
        progress: told after every batch.
    """
    generator = np.random.default_rng(seed)
    originals = [np.append(example.inputs, example.targets[-1:]) for example in examples]
    copied = [thinned(events, generator)[1 - max_length :] for _ in range(copies) for events in originals]
    batches = list(LengthBatches([len(events) for events in copied], BATCH, seed=seed))
    for drawing in range(2):
        for number, batch in enumerate(batches, 1):
            items = drawn(teachers, [copied[i] for i in batch], generator)
            for i, item in zip(batch, items, strict=True):
                copied[i] = np.append(copied[i], item)
            if progress:
                progress(drawing * len(batches) + number, 2 * len(batches), "more histories")
    return [Example(events[:-1], events[1:]) for events in copied]


def thinned(events: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(n,) items without some of the older ones; in half of all calls as they are."""
    if generator.random() < 0.5:
        return events
    kept = generator.random(len(events)) >= DROP
    kept[-1] = True
    return events[kept]


def drawn(teachers: Ensemble, histories: Sequence[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """(B,) int32: an item for each history, drawn from the teachers' distribution over the items not in it."""
    scores = teachers.score(histories).float().cpu().numpy()  # (B, N)
    for row, events in zip(scores, histories, strict=True):
        row[events - 1] = -np.inf
    # The largest of z_i + Gumbel noise is a draw from softmax(z).
    noise = generator.gumbel(size=scores.shape)
    return (scores + noise).argmax(axis=1).astype(np.int32) + 1
