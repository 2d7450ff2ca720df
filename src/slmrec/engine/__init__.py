"""The exact fast paths: user vectors, users' states between events, the best items of a catalogue of any size."""

from slmrec.engine.batches import in_order, like_lengths
from slmrec.engine.encoder import Encoder
from slmrec.engine.index import ItemIndex
from slmrec.engine.precision import Precision, check_precision, device_of
from slmrec.engine.ranking import best_of, top_k
from slmrec.engine.user_states import UserStates

__all__ = [
    "Encoder",
    "ItemIndex",
    "Precision",
    "UserStates",
    "best_of",
    "check_precision",
    "device_of",
    "in_order",
    "like_lengths",
    "top_k",
]
