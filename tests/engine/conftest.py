"""A small random recommender per decoder family, and histories of any length."""

import numpy as np
import pytest
import torch

from slmrec.models import SLMRec

from ..conftest import build

SLOTS = 7


@pytest.fixture(scope="session")
def model(llama, cycle) -> SLMRec:
    return build(cycle, llama, prompt_before="the user liked these items :")


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """The project's bound for fast paths: 1e-4 of the states' scale."""
    return bool((ours - theirs).abs().max() < 1e-4 * theirs.abs().max())


def random_histories(seed: int, count: int, longest: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 21, size=rng.integers(1, longest + 1)).astype(np.int32) for _ in range(count)]
