"""The teacher's block-end states at training targets, as they come and kept on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmrec.data.batches import IGNORED, Example
from slmrec.models import SLMRec
from slmrec.models.folder import fingerprint
from slmrec.training.kept import Kept, keep


def teacher_states(
    teacher: SLMRec,
    examples: Sequence[Example],
    layers: Sequence[int],
    folder: Path,
    progress: Callable[[int, int, str], None] | None = None,
) -> Kept:
    """(T, K, D) the states after ``layers`` of the teacher at all T targets, see `keep`."""
    teacher.eval()
    return keep(
        lambda batch: block_end_states(teacher, batch, layers).transpose(0, 1),
        (len(layers), teacher.backbone.config.hidden_size),
        {"teacher": fingerprint(teacher), "layers": list(layers)},
        examples,
        folder,
        progress,
    )


@torch.no_grad()
def block_end_states(teacher: SLMRec, batch: Any, layers: Sequence[int]) -> Tensor:
    """(K, P, D): the teacher's states after ``layers`` at the P targets of a batch, row by row."""
    device = teacher.device
    states = teacher.hidden(batch["input_ids"].to(device), batch["lengths"].to(device), layers)  # (K, B, R, D)
    return states[:, batch["labels"].to(device) != IGNORED]
