"""Text vectors made equally telling in every direction.

A sentence encoder's vectors of one catalogue lie close together: all are about products, and a few directions hold most
of what varies. A recommender then learns those directions and hardly any other. So they are whitened:

    t' = (t - μ) Q Λ*^(-1/2),  scaled to length one,       Σ* = Q Λ* Qᵀ

Σ*: covariance of the items' vectors, shrunk towards a multiple of the identity by as much as so few items call for
(Ledoit and Wolf, Journal of Multivariate Analysis 88, 2004): with hardly any item, next to nothing is changed.
"""

import torch
from torch import Tensor


def whitening(vectors: Tensor) -> Tensor:
    """The map that whitens a catalogue's text vectors.

    Args:
        vectors: (N, e) float; rows of zeros, items without text, play no part.

    Returns:
        (e + 1, e) float32: Q Λ*^(-1/2), and below it the shift -μ Q Λ*^(-1/2).
    """
    known = vectors[vectors.any(dim=1)].double()
    number, width = known.shape
    mean = known.mean(dim=0) if number else torch.zeros(width, dtype=torch.float64)
    centred = known - mean
    covariance = centred.T @ centred / max(1, number)
    level = covariance.diagonal().mean()
    if level <= 0:  # no two items differ
        return torch.cat([torch.eye(width), torch.zeros(1, width)])
    identity = torch.eye(width, dtype=torch.float64)
    values, directions = torch.linalg.eigh(
        covariance + shrinkage(centred, covariance) * (level * identity - covariance)
    )
    matrix = directions / values.sqrt()
    return torch.cat([matrix, -(mean @ matrix)[None]]).float()


def shrinkage(centred: Tensor, covariance: Tensor) -> Tensor:
    """Ledoit and Wolf's share of the identity, 0 to 1: min(b², d²) / d² of their section 3.

    Args:
        centred: (N, e) float64, vectors less their mean.
        covariance: (e, e), their covariance by 1 / N.
    """
    number, width = centred.shape
    level = covariance.diagonal().mean()
    distance = (covariance.square().sum() - width * level**2) / width
    noise = (centred.square().sum(dim=1).square().sum() / number - covariance.square().sum()) / (number * width)
    return (noise.clamp(min=torch.zeros_like(distance), max=distance) / distance).nan_to_num(1.0)


def whiten(vectors: Tensor, matrix: Tensor) -> Tensor:
    """(M, e) vectors by `whitening`'s map, each of length one; rows of zeros stay zeros."""
    changed = torch.nn.functional.normalize(vectors @ matrix[:-1] + matrix[-1], dim=1)
    return changed * vectors.any(dim=1, keepdim=True)
