"""A small random recommender per decoder family, and histories of any length."""

import numpy as np
import pytest
import torch

from slmrec.data import Dataset
from slmrec.models import SLMRec
from slmrec.models.items import ItemTable
from slmrec.training.options import LLMOptions
from slmrec.training.train import build_llm

SLOTS = 7


def build(data: Dataset, folder, **options) -> SLMRec:
    torch.manual_seed(1)
    chosen = LLMOptions(**{"backbone": str(folder), "layers": 3, "max_length": SLOTS} | options)
    return build_llm(data, chosen, ItemTable.of(torch.randn(data.num_items, 8))).eval()


@pytest.fixture(scope="session")
def model(llama, cycle) -> SLMRec:
    return build(cycle, llama, prompt_before="the user liked these items :")


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """The project's bound for fast paths: 1e-4 of the states' scale."""
    return bool((ours - theirs).abs().max() < 1e-4 * theirs.abs().max())


def random_histories(seed: int, count: int, longest: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 21, size=rng.integers(1, longest + 1)).astype(np.int32) for _ in range(count)]
