from slmrec.losses.contrastive import contrastive_loss
from slmrec.losses.cosine import cosine_loss
from slmrec.losses.cross_entropy import softmax_cross_entropy
from slmrec.losses.gbce import gbce
from slmrec.losses.multi_supervision import multi_supervision_loss
from slmrec.losses.norm import norm_loss
from slmrec.losses.objective import slmrec_objective
from slmrec.losses.relational import relational_loss
from slmrec.losses.sampled_softmax import sampled_softmax_cross_entropy
from slmrec.losses.score_kl import score_kl
from slmrec.losses.taught import taught_loss
from slmrec.losses.top_items import ranked_loss, top_items_loss

__all__ = [
    "contrastive_loss",
    "cosine_loss",
    "gbce",
    "multi_supervision_loss",
    "norm_loss",
    "ranked_loss",
    "relational_loss",
    "sampled_softmax_cross_entropy",
    "score_kl",
    "slmrec_objective",
    "softmax_cross_entropy",
    "taught_loss",
    "top_items_loss",
]
