"""Users' keys and values between events: a cache over their histories, never their only home.

`encode` takes whole histories, as they stand in the caller's own store, and gives the vectors that the model gives.
What a user's kept state covers is not computed again: one more event costs one position. A history that does not
continue the kept one, a state that was evicted or has expired cost their full computation and nothing else.

What happens when a history outgrows the model's window of L items:

- slide="exact": the window is the last L items, as everywhere else. Its first item, and so every state in it, is
  another one after each event, so each event costs L positions.
- slide="hop" (an approximation): the window drops its older half at once and grows again, from ⌈L/2⌉ to L items, so
  an event costs about two positions on average. Vectors are those of that shorter window, exactly.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from slmrec.engine.encoder import Encoder
from slmrec.errors import UserError
from slmrec.files import whole_file

Id = str | int
Slide = Literal["exact", "hop"]


@dataclass
class _State:
    items: np.ndarray
    """(n,) int32, the window that the rest was computed from."""
    keys_values: Tensor | None
    """(K, 2, H, n, E); None where the model's histories cannot be continued."""
    vector: Tensor
    """(d,)"""
    used: float
    """When, by the clock."""

    @property
    def nbytes(self) -> int:
        held = 0 if self.keys_values is None else self.keys_values.nbytes
        return held + self.vector.nbytes + self.items.nbytes


class UserStates:
    """States of users of one model as it stands, the least recently used evicted first.

    Args:
        encoder: the model's, from `SLMRec.encoder`.
        max_bytes: memory that the states may take.
        seconds: a state that was not used for so long has expired; None: never.
        slide: what happens when a history outgrows the window, see the module.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        max_bytes: int = 2**30,
        seconds: float | None = None,
        slide: Slide = "exact",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.encoder = encoder
        self.max_bytes, self.seconds, self.slide, self.clock = max_bytes, seconds, slide, clock
        self.nbytes = 0
        self._states: OrderedDict[Id, _State] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, user: Id) -> bool:
        return user in self._states

    @torch.inference_mode()
    def encode(self, histories: Mapping[Id, np.ndarray]) -> Tensor:
        """(B, d) user vectors in the order of ``histories``, which are item indices, oldest first, none empty."""
        self._expire()
        now = self.clock()
        windows = {user: self.window(history) for user, history in histories.items()}
        vectors: dict[Id, Tensor] = {}
        new: dict[Id, tuple[Tensor | None, np.ndarray]] = {}
        for user, window in windows.items():
            state = self._states.get(user)
            covered = 0 if state is None else len(state.items)
            if state is None or covered > len(window) or not np.array_equal(state.items, window[:covered]):
                new[user] = (None, window)
            elif covered < len(window):
                usable = state.keys_values is not None
                new[user] = (state.keys_values, window[covered:]) if usable else (None, window)
            else:
                vectors[user] = state.vector
                state.used = now
                self._states.move_to_end(user)
        if new:
            kept, items = zip(*new.values(), strict=True)
            extended: list[Tensor | None] = [None] * len(new)
            if self.encoder.incremental:
                found, extended[:] = self.encoder.extend(kept, items)
            else:
                found = self.encoder.encode(items)
            for user, vector, keys_values in zip(new, found, extended, strict=True):
                vectors[user] = vector.clone()
                self._keep(user, _State(windows[user].astype(np.int32), keys_values, vectors[user], now))
        return torch.stack([vectors[user] for user in histories])

    def forget(self, user: Id) -> None:
        """Drop a user's state, if there is one."""
        state = self._states.pop(user, None)
        if state is not None:
            self.nbytes -= state.nbytes

    def save(self, path: str | Path, model: str) -> None:
        """Write all states to one file, whole or not at all.

        Args:
            path: a safetensors file.
            model: what tells this model from all others, its fingerprint; `load` asks for the same.
        """
        tensors: dict[str, Tensor] = {}
        users = []
        for number, (user, state) in enumerate(self._states.items()):
            users.append([user, state.used])
            tensors[f"{number}.items"] = torch.from_numpy(state.items)
            tensors[f"{number}.vector"] = state.vector.contiguous()
            if state.keys_values is not None:
                tensors[f"{number}.keys_values"] = state.keys_values.contiguous()
        facts = {"model": model, "slide": self.slide, "users": json.dumps(users)}
        with whole_file(Path(path)) as scratch:
            save_file(tensors, scratch, metadata=facts)

    def load(self, path: str | Path, model: str) -> None:
        """Take up the states of a file; those that have expired meanwhile, or do not fit, are left out.

        Raises:
            UserError: the file is damaged, of another model, or of another way to slide.
        """
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata() or {}
                if facts.get("model") != model:
                    raise UserError(f"{path} holds user states of another model; remove it, and they are computed anew")
                if facts.get("slide") != self.slide:
                    raise UserError(f"{path} holds user states of slide '{facts.get('slide')}', not '{self.slide}'")
                names = set(file.keys())
                for number, (user, used) in enumerate(json.loads(facts["users"])):
                    kept = f"{number}.keys_values"
                    state = _State(
                        file.get_tensor(f"{number}.items").numpy(),
                        file.get_tensor(kept) if kept in names else None,
                        file.get_tensor(f"{number}.vector"),
                        used,
                    )
                    self._keep(user, state)
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path} is no file of user states ({error}); remove it, and they are computed anew"
            ) from error
        self._expire()

    def window(self, history: np.ndarray) -> np.ndarray:
        """The part of a history that its vector is computed from, see the module."""
        slots = self.encoder.slots
        beyond = len(history) - slots
        if beyond <= 0:
            return history
        if self.slide == "exact":
            return history[-slots:]
        hop = max(1, slots // 2)
        return history[-(-beyond // hop) * hop :]

    def _keep(self, user: Id, state: _State) -> None:
        self.forget(user)
        self._states[user] = state
        self.nbytes += state.nbytes
        while self.nbytes > self.max_bytes and self._states:
            self.forget(next(iter(self._states)))

    def _expire(self) -> None:
        """Least recently used come first, so the first that is fresh ends the search."""
        if self.seconds is None:
            return
        oldest = self.clock() - self.seconds
        while self._states:
            user, state = next(iter(self._states.items()))
            if state.used >= oldest:
                return
            self.forget(user)
