"""Users' kept states against encoding every history anew."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmrec.engine import UserStates
from slmrec.errors import UserError

from ..conftest import build
from .conftest import SLOTS, close


def events(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 21, size=count).astype(np.int32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=15))
def test_any_stream_of_events_gives_what_encoding_anew_gives(model, seed, stream):
    states = UserStates(model.encoder)
    history = {user: events(seed + user, 60) for user in range(4)}
    length = dict.fromkeys(range(4), 0)
    for user, new in stream:
        length[user] += new
        asked = {u: history[u][:n] for u, n in length.items() if n}
        assert close(states.encode(asked), model.encode(list(asked.values())))


def test_one_more_event_runs_one_position(model, monkeypatch):
    states = UserStates(model.encoder)
    history = events(0, 5)
    states.encode({"a": history[:4]})
    ran = []
    forward = model.encoder.decoder
    monkeypatch.setattr(
        model.encoder, "decoder", lambda inputs, *rest: ran.append(inputs.shape[1]) or forward(inputs, *rest)
    )
    states.encode({"a": history})
    assert ran == [1]
    states.encode({"a": history})
    assert ran == [1]  # nothing new, nothing run
    states.encode({"a": history[::-1].copy()})
    assert ran == [1, 5]  # another history


def test_hopping_windows_are_the_model_on_the_shorter_window(model):
    states = UserStates(model.encoder, slide="hop")
    history, hop = events(1, 30), SLOTS // 2
    start = 0
    for n in range(1, 31):
        while n - start > SLOTS:
            start += hop
        assert close(states.encode({1: history[:n]}), model.encode([history[start:n]]))


def test_memory_is_bounded_and_the_least_recently_used_go_first(model):
    one = UserStates(model.encoder)
    one.encode({0: events(0, 3)})
    states = UserStates(model.encoder, max_bytes=3 * one.nbytes)
    for user in range(3):
        states.encode({user: events(user, 3)})
    states.encode({0: events(0, 3)})  # used again
    states.encode({3: events(3, 3)})
    assert [user in states for user in range(4)] == [True, False, True, True]
    assert states.nbytes <= states.max_bytes
    assert close(states.encode({1: events(1, 3)}), model.encode([events(1, 3)]))
    for user in range(4):
        states.forget(user)
    assert (len(states), states.nbytes) == (0, 0)


def test_a_batch_larger_than_the_budget_is_still_answered(model):
    states = UserStates(model.encoder, max_bytes=1)
    histories = {user: events(user, 4) for user in range(5)}
    assert close(states.encode(histories), model.encode(list(histories.values())))
    assert len(states) == 0


def test_states_expire(model):
    clock = SimpleNamespace(now=0.0)
    states = UserStates(model.encoder, seconds=10, clock=lambda: clock.now)
    states.encode({"a": events(0, 3)})
    clock.now = 8
    states.encode({"b": events(1, 3)})
    clock.now = 12
    states.encode({"c": events(2, 3)})
    assert ["a" in states, "b" in states, "c" in states] == [False, True, True]


def test_states_are_saved_and_taken_up(model, tmp_path):
    states = UserStates(model.encoder)
    states.encode({"a": events(0, 3), 7: events(1, 5)})
    states.save(tmp_path / "states.safetensors", "this model")
    again = UserStates(model.encoder)
    again.load(tmp_path / "states.safetensors", "this model")
    assert (len(again), again.nbytes, "a" in again, 7 in again) == (2, states.nbytes, True, True)
    longer = {"a": events(0, 6), 7: events(1, 6)}
    assert close(again.encode(longer), model.encode(list(longer.values())))
    with pytest.raises(UserError, match="another model"):
        again.load(tmp_path / "states.safetensors", "that model")
    with pytest.raises(UserError, match="slide"):
        UserStates(model.encoder, slide="hop").load(tmp_path / "states.safetensors", "this model")
    (tmp_path / "states.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="no file of user states"):
        again.load(tmp_path / "states.safetensors", "this model")


def test_a_reading_that_cannot_be_continued_is_computed_anew(llama, cycle):
    model = build(cycle, llama, reading="last-prompt-token", prompt_after="next item ?")
    states = UserStates(model.encoder)
    for n in (2, 3, 5):
        assert close(states.encode({0: events(0, n)}), model.encode([events(0, n)]))
    assert torch.equal(states.encode({0: events(0, 5)}), states.encode({0: events(0, 5)}))
