"""How far the student's ranking is from its teachers', as a distribution over candidate items.

    L_kl = T² (1/P) Σ_p KL( softmax(z_p / T) ‖ softmax(s_p / T) ),      z_p = (1/M) Σ_m z_p^{(m)}

z^{(m)}, s: scores of the same candidates by M teachers and the student; T: temperature (Hinton et al., 2015). The mean
of the teachers' scores is, up to a constant that the softmax takes away, the mean of their log-probabilities.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def score_kl(teachers: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """L_kl.

    Args:
        teachers: (M, P, C) float, each teacher's scores of C candidates; no gradient flows to them.
        student: (P, C) float.
        temperature: T > 0; higher ones look further down the list.

    Returns:
        A float32 scalar, 0 where the distributions are equal.
    """
    wanted = F.softmax(teachers.detach().float().mean(dim=0) / temperature, dim=-1)
    given = F.log_softmax(student.float() / temperature, dim=-1)
    entropy = torch.special.xlogy(wanted, wanted).sum(dim=-1)
    return temperature**2 * (entropy - (wanted * given).sum(dim=-1)).mean()
