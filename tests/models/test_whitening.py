"""Whitening: against scikit-learn's shrinkage, and what it promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

from slmrec.models.whitening import shrinkage, whiten, whitening


def drawn(seed: int, number: int, width: int) -> torch.Tensor:
    """Vectors about one mean, of very different spread in each direction."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.logspace(0, -2, width)
    turned, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    return (torch.randn(number, width, generator=generator) * scales) @ turned + 1.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 60), st.integers(1, 12))
def test_shrinkage_is_scikit_learns(seed, number, width):
    vectors = drawn(seed, number, width).double()
    centred = vectors - vectors.mean(dim=0)
    ours = shrinkage(centred, centred.T @ centred / number)
    _, theirs = ledoit_wolf(vectors.numpy())
    if width > 1:  # of one number, there is nothing to shrink towards another
        assert float(ours) == pytest.approx(theirs, abs=1e-9)


def test_many_items_get_the_same_spread_in_every_direction():
    vectors = drawn(0, 20_000, 8)
    matrix = whitening(vectors)
    changed = vectors @ matrix[:-1] + matrix[-1]
    torch.testing.assert_close(changed.mean(dim=0), torch.zeros(8), atol=1e-4, rtol=0)
    covariance = (changed.T @ changed / len(changed)).numpy()
    assert np.allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    assert np.diag(covariance).min() > 0.7  # the smallest of directions had a hundredth of the largest's spread
    torch.testing.assert_close(whiten(vectors, matrix).norm(dim=1), torch.ones(20_000))


def test_a_handful_of_items_keep_their_likeness():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(4, 64, generator=generator), dim=1)
    vectors[1] = torch.nn.functional.normalize(vectors[0] + 0.1 * vectors[1], dim=0)  # two of four are alike
    changed = whiten(vectors, whitening(vectors))
    assert changed[0] @ changed[1] > changed[0] @ changed[2] + 0.5


def test_items_without_text_stay_nothing_and_change_nothing():
    vectors = drawn(1, 50, 6)
    with_gaps = torch.cat([vectors, torch.zeros(5, 6)])
    torch.testing.assert_close(whitening(with_gaps), whitening(vectors))
    assert not whiten(with_gaps, whitening(with_gaps))[50:].any()


@pytest.mark.parametrize("vectors", [torch.zeros(3, 4), torch.ones(3, 4), torch.ones(1, 4)])
def test_items_that_do_not_differ_are_left_as_they_are(vectors):
    torch.testing.assert_close(whiten(vectors, whitening(vectors)), torch.nn.functional.normalize(vectors, dim=1))
