"""Training sequences and batches: counted by hand and by property."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from slmrec.data.batches import IGNORED, PADDING, Example, LengthBatches, collate, training_examples


def test_every_event_but_a_users_first_is_a_target_once(cycle):
    for max_length in (1, 3, 50):
        examples = training_examples(cycle, max_length, "every-position")
        wanted = sorted(item for events in cycle.train_sequences() for item in events[1:].tolist())
        assert sorted(item for example in examples for item in example.targets.tolist()) == wanted
        assert max(len(example.inputs) for example in examples) <= max_length
        for example in examples:  # in the cycle every item's successor is known
            after = cycle.catalogue.ids(example.inputs).cast(int).to_numpy() + 1
            assert (after % 20 == cycle.catalogue.ids(example.targets).cast(int).to_numpy()).all()


def test_last_position_is_one_target_a_user(cycle):
    examples = training_examples(cycle, 4, "last-position")
    sequences = [events for events in cycle.train_sequences() if len(events) > 1]
    assert len(examples) == len(sequences)
    for example, events in zip(examples, sequences, strict=True):
        assert example.targets.tolist() == [events[-1]]
        assert example.inputs.tolist() == events[:-1][-4:].tolist()


def test_a_batch_by_hand():
    examples = [Example(np.array([3, 4]), np.array([4, 5])), Example(np.array([7]), np.array([8]))]
    batch = collate(examples)
    assert batch["input_ids"].tolist() == [[3, 4], [7, PADDING]]
    assert batch["labels"].tolist() == [[4, 5], [8, IGNORED]]
    assert batch["lengths"].tolist() == [2, 1]
    assert batch["input_ids"].dtype == torch.int64


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=90),
    pieces=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 99),
)
def test_an_epoch_holds_every_sequence_once_in_an_order_that_seed_and_epoch_fix(lengths, pieces, seed):
    sampler = LengthBatches(lengths, batch_size=8, pieces=pieces, seed=seed)
    first = list(sampler)
    assert sorted(i for batch in first for i in batch) == list(range(len(lengths)))
    assert len(first) == len(sampler)
    assert list(sampler) == first
    whole = LengthBatches(lengths, batch_size=8, seed=seed)
    merged = [i for batch in first for i in batch]
    assert merged == [i for batch in whole for i in batch]  # pieces cut the same batches
    sampler.set_epoch(1)
    again = list(sampler)
    assert sorted(i for batch in again for i in batch) == list(range(len(lengths)))


def test_batches_are_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 51, size=4096)
    batches = list(LengthBatches(lengths, batch_size=32))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded / lengths.sum() < 1.06  # in random batches of 32 it is about 1.9
