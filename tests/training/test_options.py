import pytest

from slmrec.errors import UserError
from slmrec.training.options import TrainingOptions


def test_a_batch_of_short_histories_is_filled_up_with_more_of_them():
    options = TrainingOptions(batch_size=16, batch_positions=192, gradient_accumulation=4)
    assert options.filled([50, 40]).batch_size == 16  # 720 positions already
    assert options.filled([6] * 7).batch_size == 32  # 96 are nearer to half of 192 than to all of it
    assert options.filled([1, 3]).batch_size == 96
    assert options.filled([8] * 3).batch_size == 32  # 128 or 256: as near, and so the even number of times
    assert TrainingOptions(batch_size=16).filled([1]).batch_size == 16
    assert options.filled([]).batch_size == 16
    again = options.filled([1, 3])
    assert again.filled([1]) == again  # once is enough
    with pytest.raises(UserError, match="batch_positions is -1, but must be at least 0"):
        TrainingOptions(batch_positions=-1)
