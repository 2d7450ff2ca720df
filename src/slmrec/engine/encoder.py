"""Histories to user vectors through a decoder, at the cost of the items alone.

The text before the items is the same for all, so its keys and values are computed once and kept until the weights
change. Empty slots are left out, and positions are those of the plain layout. Batches hold histories of like length.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from slmrec.engine.batches import in_order, like_lengths
from slmrec.engine.decoder import decoder
from slmrec.engine.precision import Precision
from slmrec.engine.weights import Stamp, stamp

TOKENS = 1024
"""Positions that run together: enough for the matrix products' full speed, and few enough for the caches."""


class Encoder:
    """A decoder LLM between item vectors and user vectors, for inference.

    Args:
        backbone: the decoder's layers, without its word table and final norm.
        embed: (B, L) int item indices to (B, L, D) inputs of the first layer.
        read_out: (B, D) states after the last layer to (B, d) user vectors.
        before: (P, D) text before the items.
        after: (A, D) text after the items, at whose last token a history is read; empty: read at its last item.
        slots: most recent items that are read.
        precision: of the layers' linear maps.
    """

    def __init__(
        self,
        backbone: PreTrainedModel,
        embed: Callable[[Tensor], Tensor],
        read_out: Callable[[Tensor], Tensor],
        before: Tensor,
        after: Tensor,
        slots: int,
        precision: Precision = "fp32",
    ) -> None:
        self.decoder = decoder(backbone, precision)
        self.device = before.device
        self.embed, self.read_out = embed, read_out
        self.before, self.after, self.slots = before, after, slots
        self._prompt: Tensor | None = None
        self._prompt_weights: Stamp = ()
        self._weights = [before, *backbone.parameters()]

    @property
    def incremental(self) -> bool:
        """Whether a history's keys and values serve its continuations.

        Text after the items, or rather the slots it stands behind, moves every item at each event.
        """
        return not len(self.after)

    def encode(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, d) user vectors after each history's last item; histories are arrays of item indices, none empty."""
        rows = [history[-self.slots :] for history in histories]
        batches = list(like_lengths([len(row) + len(self.after) for row in rows], TOKENS))
        return in_order(batches, [self._run([rows[i] for i in batch]) for batch in batches])

    def extend(self, kept: Sequence[Tensor | None], items: Sequence[np.ndarray]) -> tuple[Tensor, list[Tensor]]:
        """Continue histories by new items, at the cost of these alone.

        Args:
            kept: for each user (K, 2, H, n, E) keys and values of the items so far, None before the first.
            items: for each user, (m,) int, the new ones, at least one.

        Returns:
            (B, d) user vectors after the last item, and for each user (K, 2, H, n + m, E).
        """
        assert self.incremental
        vectors: list[Tensor] = []
        states: list[Tensor] = [torch.empty(0)] * len(items)
        # Rows are padded both to the longest past and to the most new items, so like goes with like in both.
        lengths = [0 if state is None else state.shape[3] for state in kept]
        batches = list(like_lengths([len(new) for new in items], TOKENS, lengths))
        for batch in batches:
            found, extended = self._continue([kept[i] for i in batch], [items[i] for i in batch])
            vectors.append(found)
            for i, state in zip(batch, extended, strict=True):
                states[i] = state
        return in_order(batches, vectors), states

    def _run(self, rows: Sequence[np.ndarray]) -> Tensor:
        inputs, lengths = self._inputs(rows)
        positions = len(self.before) + torch.arange(inputs.shape[1], device=inputs.device).expand(len(rows), -1)
        if len(self.after):
            inputs, positions = with_text_after(inputs, positions, lengths, self.after, self.slots)
        read = lengths + len(self.after) - 1
        states, _ = self.decoder(inputs, positions, read, self._shared_prompt(), None, False)
        return self.read_out(states)

    def _continue(self, kept: Sequence[Tensor | None], items: Sequence[np.ndarray]) -> tuple[Tensor, list[Tensor]]:
        inputs, lengths = self._inputs(items)
        device = inputs.device
        prompt, sizes = self._shared_prompt(), [0 if state is None else state.shape[3] for state in kept]
        past, visible = prompt, None
        if any(sizes):
            like = next(state for state in kept if state is not None)
            earlier = len(self.before)
            past = like.new_zeros(*like.shape[:2], len(kept), like.shape[2], earlier + max(sizes), like.shape[4])
            if prompt is not None:
                past[:, :, :, :, :earlier] = prompt
            for row, state in enumerate(kept):
                if state is not None:
                    past[:, :, row, :, earlier : earlier + state.shape[3]] = state
            if min(sizes) < max(sizes):
                ends = torch.tensor(sizes, device=device) + earlier
                visible = torch.arange(past.shape[4], device=device) < ends[:, None]
        first = len(self.before) + torch.tensor(sizes, device=device)[:, None]
        positions = first + torch.arange(inputs.shape[1], device=device)
        states, new = self.decoder(inputs, positions, lengths - 1, past, visible, True)
        assert new is not None
        extended = [
            # A clone, so that one user's state does not keep the whole batch's alive.
            new[:, :, row, :, :length].clone()
            if state is None
            else torch.cat([state, new[:, :, row, :, :length]], dim=3)
            for row, (state, length) in enumerate(zip(kept, lengths.tolist(), strict=True))
        ]
        return self.read_out(states), extended

    def _inputs(self, rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """(B, L, D) and (B,) lengths."""
        ids = pad_sequence([torch.from_numpy(row.astype(np.int64)) for row in rows], batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=self.before.device)
        return self.embed(ids.to(self.before.device)), lengths

    def _shared_prompt(self) -> Tensor | None:
        """(K, 2, 1, H, P, E) keys and values of the text before the items."""
        if not len(self.before):
            return None
        weights = stamp(self._weights)
        if self._prompt is None or self._prompt_weights != weights:
            positions = torch.arange(len(self.before), device=self.before.device)[None]
            _, self._prompt = self.decoder(self.before[None], positions, positions[0, -1:], None, None, True)
            self._prompt_weights = weights
        return self._prompt


def with_text_after(
    vectors: Tensor, positions: Tensor, lengths: Tensor, text: Tensor, slots: int
) -> tuple[Tensor, Tensor]:
    """Put text right after each row's last item, at the positions of the plain layout.

    There the items fill the last of the slots, so item i of n stands slots - n places further than it would by
    itself, and the text behind the last slot whatever n.

    Args:
        vectors: (B, L, D), rows filled up on the right.
        positions: (B, L) of items that would start in the first slot.
        lengths: (B,) int.
        text: (A, D).
        slots: how many there are.

    Returns:
        (B, L + A, D) and (B, L + A).
    """
    rows, steps, width = vectors.shape
    after = len(text)
    padded = torch.cat([vectors, vectors.new_zeros(rows, after, width)], dim=1)  # (B, L + A, D)
    place = lengths[:, None] + torch.arange(after, device=lengths.device)  # (B, A)
    expanded = text.to(padded.dtype).expand(rows, -1, -1)
    padded = padded.scatter(1, place[:, :, None].expand(-1, -1, width), expanded)
    further = positions[:, :1] + torch.arange(steps + after, device=lengths.device)
    return padded, further + slots - lengths[:, None]
