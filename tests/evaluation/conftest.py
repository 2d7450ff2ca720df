"""Small datasets and models whose scores are known, shared by the evaluation tests."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.data.catalogue import Catalogue
from slmrec.data.dataset import Dataset

Histories = Sequence[Sequence[int]]


class TableScorer:
    """Scores every history with a function of it; stands for any `Recommender`."""

    kind = "table"

    def __init__(self, catalogue: Catalogue, scores_of: Callable[[np.ndarray], np.ndarray]) -> None:
        self.catalogue = catalogue
        self.scores_of = scores_of
        self.lengths: list[int] = []  # of the histories, in the order they were asked for

    def score(self, histories: Sequence[np.ndarray]) -> torch.Tensor:
        self.lengths += map(len, histories)
        return torch.tensor(np.stack([self.scores_of(history) for history in histories]), dtype=torch.float32)

    def parameter_counts(self) -> dict[str, int]:
        return {"total": 3, "without_vocabulary": 2, "trained": 1}


@pytest.fixture(scope="session")
def make_data():
    def make(histories: Histories, num_items: int, splits: Histories | None = None, name: str = "toy") -> Dataset:
        """Item indices of each user, oldest first; splits default to leave-one-out."""
        splits = splits or [[0] * (len(history) - 2) + [1, 2] for history in histories]
        return Dataset(
            name=name,
            users=pl.DataFrame({"user_id": [f"u{user}" for user in range(len(histories))]}),
            catalogue=Catalogue(
                pl.DataFrame(
                    {"item_id": [f"i{item}" for item in range(1, num_items + 1)], "text": None},
                    schema={"item_id": pl.String, "text": pl.String},
                )
            ),
            offsets=np.cumsum([0, *map(len, histories)]),
            sequence=np.concatenate(histories).astype(np.int32),
            split=np.concatenate(splits).astype(np.uint8),
            timestamps=None,
            meta={},
        )

    return make


@pytest.fixture(scope="session")
def make_scorer():
    return TableScorer


@pytest.fixture(scope="session")
def random_data(make_data) -> Dataset:
    """40 users with 3 to 60 events, repeats among them, on 1,300 items."""
    rng = np.random.default_rng(5)
    return make_data([rng.integers(1, 1301, size=length) for length in rng.integers(3, 60, size=40)], 1300)


@pytest.fixture(scope="session")
def random_scorer(random_data, make_scorer) -> TableScorer:
    """Scores with many ties, fixed by the history."""

    def scores_of(history: np.ndarray) -> np.ndarray:
        return np.random.default_rng(history).integers(0, 400, size=random_data.num_items)

    return make_scorer(random_data.catalogue, scores_of)
