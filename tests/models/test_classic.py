"""The classic neural models: causality and padding as properties, planted answers, parts computed by hand."""

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import BERT4Rec, Caser, Classic, ESASRec, GRU4Rec, SASRec, load
from slmrec.models.esasrec import LiGRBlock
from slmrec.models.sasrec import Block, SASRecConfig
from slmrec.training.build import build_classic
from slmrec.training.modules import Cloze, left_out
from slmrec.training.options import (
    BERT4RecOptions,
    CaserOptions,
    ClassicOptions,
    ESASRecOptions,
    GRU4RecOptions,
    SASRecOptions,
    TrainingOptions,
)
from slmrec.training.train import train_classic

SHAPES: dict[type[Classic], tuple[type[ClassicOptions], dict]] = {
    GRU4Rec: (GRU4RecOptions, {"state_size": 12}),
    Caser: (CaserOptions, {"window": 3, "horizontal_filters": 4, "vertical_filters": 2}),
    BERT4Rec: (BERT4RecOptions, {"num_blocks": 1, "mask_share": 0.3, "last_share": 0.1}),
    SASRec: (SASRecOptions, {"num_blocks": 1}),
    ESASRec: (ESASRecOptions, {"num_blocks": 1, "num_heads": 2}),
}
CAUSAL = [kind for kind in SHAPES if kind is not BERT4Rec]


def options(kind: type[Classic], **more) -> ClassicOptions:
    cls, shape = SHAPES[kind]
    return cls(**{"hidden_size": 16, "dropout": 0.0, "max_length": 9} | shape | more)


def untrained(kind: type[Classic], data: Dataset, **more) -> Classic:
    """Random weights, large enough that every part of the model is felt."""
    torch.manual_seed(0)
    model = build_classic(data, options(kind, **more), None)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
        model.items.weight[0] = 0
    model.catalogue = data.catalogue
    return model.eval()


def normed(vector: torch.Tensor) -> torch.Tensor:
    """Layer normalisation of one vector, with the weights that it has before training."""
    return (vector - vector.mean()) / (vector.var(correction=0) + 1e-5).sqrt()


@pytest.mark.parametrize("kind", SHAPES)
def test_every_model_learns_what_follows(kind, cycle, tmp_path):
    """The next item is the one after the last; the folder gives the trained model back."""
    training = TrainingOptions(epochs=30 if kind is not BERT4Rec else 60, batch_size=16, learning_rate=1e-2)
    model = train_classic(cycle, options(kind, max_length=12, training=training), tmp_path / "m")
    assert isinstance(model, kind)
    assert evaluate(model, cycle).metrics["HR@1"] > 0.9
    again = load(tmp_path / "m")
    assert type(again) is kind
    history = [np.array([3, 4, 5], dtype=np.int32)]
    torch.testing.assert_close(again.score(history), model.score(history), rtol=1e-4, atol=1e-4)
    assert again.recommend([["001", "002", "003", "004"]], k=1)["item_id"].to_list() == ["005"]
    assert not [path for path in tmp_path.iterdir() if path.name != "m"]


@pytest.mark.parametrize("kind", CAUSAL)
@torch.no_grad()
def test_later_items_never_change_earlier_states(kind, cycle):
    model = untrained(kind, cycle)
    input_ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
    states = model(input_ids, torch.tensor([7]))
    for place in range(1, 7):
        changed = input_ids.clone()
        changed[0, place] = 17
        found = model(changed, torch.tensor([7]))
        torch.testing.assert_close(found[:, :place], states[:, :place])
        assert not torch.allclose(found[:, place], states[:, place])  # its own it does change


@pytest.mark.parametrize("kind", SHAPES)
@torch.no_grad()
def test_padding_changes_nothing(kind, cycle):
    model = untrained(kind, cycle)
    short, long = torch.tensor([[3, 1, 4]]), torch.tensor([[3, 1, 4, 0, 0, 0], [5, 9, 2, 6, 5, 3]])
    alone = model(short, torch.tensor([3]))
    beside = model(long, torch.tensor([3, 6]))
    torch.testing.assert_close(beside[:1, : alone.shape[1]], alone)
    histories = [np.array([7]), np.array([3, 1, 4]), np.arange(1, 15)]
    each = torch.cat([model.encode([history]) for history in histories])
    torch.testing.assert_close(model.encode(histories), each)
    torch.testing.assert_close(model.encode([np.arange(6, 15)]), each[2:])  # the newest nine are read


@pytest.mark.parametrize("kind", CAUSAL)
@torch.no_grad()
def test_a_positions_scores_are_those_of_the_history_that_ends_there(kind, cycle):
    model = untrained(kind, cycle)
    history = np.array([3, 1, 4, 1, 5])
    candidates = torch.tensor([2, 7, 19])
    assert model.scores_every_position
    found = model.position_scores(torch.from_numpy(history)[None], torch.tensor([5]), candidates)[0]
    wanted = model.score([history[: end + 1] for end in range(5)])[:, candidates - 1]
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", SHAPES)
def test_items_known_by_their_text_and_new_ones(kind, cycle, tmp_path):
    """The text says where on the ring an item stands; a new item with the text of 006 has 006's vector, less its id."""
    angles = np.arange(20) / 20 * 2 * np.pi
    rings = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    frame = pl.DataFrame({"item_id": [f"{i:03d}" for i in range(20)], "vector": rings.tolist()})
    frame.write_parquet(tmp_path / "vectors.parquet")
    training = TrainingOptions(epochs=2, batch_size=16)
    source = str(tmp_path / "vectors.parquet")
    dropout = {"id_dropout": 0.3, "item_dropout": 0.1}
    train_classic(cycle, options(kind, item_text=source, training=training, **dropout), tmp_path / "m")
    model = load(tmp_path / "m")
    assert model.config.id_dropout == 0.3
    assert model.items.dropout.p == 0.1
    projection = model.items.projection.weight
    assert projection.abs().sum() > 0
    before = model.score([np.array([4, 5])])
    model.add_items(frame[6:7].with_columns(item_id=pl.lit("new")))
    (twin,) = model.catalogue.index(["006"])
    torch.testing.assert_close(model.item_vectors()[20], model.items.text[twin] @ projection.T)
    torch.testing.assert_close(model.score([np.array([4, 5])])[:, :20], before)
    assert "new" in model.recommend([["003", "new"]], k=21, exclude_seen=False)["item_id"]


class TestGRU4Rec:
    @torch.no_grad()
    def test_equals_its_equations(self, cycle):
        """Cho et al.: r, z gates and candidate n; h = (1 - z) n + z h."""
        model = untrained(GRU4Rec, cycle)
        input_ids = torch.tensor([[3, 1, 4]])
        wi, wh = model.gru.weight_ih_l0, model.gru.weight_hh_l0
        bi, bh = model.gru.bias_ih_l0, model.gru.bias_hh_l0
        state = torch.zeros(12)
        for place, item in enumerate(input_ids[0]):
            ir, iz, inner = (wi @ (model.items.weight[item] * 4) + bi).chunk(3)  # 4 = √16
            hr, hz, hidden = (wh @ state + bh).chunk(3)
            reset, update = torch.sigmoid(ir + hr), torch.sigmoid(iz + hz)
            state = (1 - update) * torch.tanh(inner + reset * hidden) + update * state
            wanted = normed(model.output.weight @ state + model.output.bias)
            torch.testing.assert_close(model(input_ids, torch.tensor([3]))[0, place], wanted, rtol=1e-4, atol=1e-5)


class TestCaser:
    @torch.no_grad()
    def test_equals_the_convolutions_of_each_window_written_out(self, cycle):
        model = untrained(Caser, cycle)
        items = [3, 1, 4, 1, 5]
        found = model(torch.tensor([items]), torch.tensor([5]))[0]
        rows = torch.cat([torch.zeros(2, 16), model.items.weight[items] * 4])  # √16, and zeros before the first item
        for place in range(5):
            window = rows[place : place + 3]  # (W, D)
            horizontal = [
                torch.stack(
                    [
                        F.relu((conv.weight * window[top : top + height].T).sum((1, 2)) + conv.bias)
                        for top in range(3 - height + 1)
                    ]
                ).amax(0)
                for height, conv in enumerate(model.horizontal, 1)
            ]
            vertical = model.vertical.weight[:, 0] @ window + model.vertical.bias[:, None]  # (n_v, D)
            order = vertical.T.flatten()
            hidden = F.relu(model.hidden.weight @ torch.cat([*horizontal, order]) + model.hidden.bias)
            wanted = normed(model.output.weight @ hidden + model.output.bias)
            torch.testing.assert_close(found[place], wanted, rtol=1e-4, atol=1e-4)

    @torch.no_grad()
    def test_only_the_window_is_seen(self, cycle):
        model = untrained(Caser, cycle)
        torch.testing.assert_close(model.encode([np.array([8, 3, 1, 4])]), model.encode([np.array([9, 3, 1, 4])]))


class TestESASRec:
    @torch.no_grad()
    def test_gates_weigh_each_branch(self):
        """Shut, they leave the input; wide open, SASRec's residuals around the same branches; at rest, half of them."""
        torch.manual_seed(0)
        block = LiGRBlock(SASRecConfig(hidden_size=16, dropout=0.0)).eval()
        states = torch.randn(2, 5, 16)
        for gate in (block.attention_share, block.feed_forward_share):
            gate.weight.zero_()
        outputs = {}
        for bias in (-100.0, 0.0, 100.0):
            block.attention_share.bias.fill_(bias)
            block.feed_forward_share.bias.fill_(bias)
            outputs[bias] = block(states)
        torch.testing.assert_close(outputs[-100.0], states)
        torch.testing.assert_close(outputs[100.0], Block.forward(block, states))
        half = states + block.attention(block.attention_norm(states), None) / 2
        half = half + block.feed_forward(block.feed_forward_norm(half)) / 2
        torch.testing.assert_close(outputs[0.0], half)

    @torch.no_grad()
    def test_the_feed_forward_is_swiglu(self):
        block = LiGRBlock(SASRecConfig(hidden_size=8, dropout=0.0)).eval()
        x = torch.randn(8)
        a, b = block.gate(x), block.up(x)
        torch.testing.assert_close(block.feed_forward(x), block.down(a * torch.sigmoid(a) * b))


class TestBERT4Rec:
    @torch.no_grad()
    def test_reads_the_mask_behind_the_history_and_knows_its_order(self, cycle):
        model = untrained(BERT4Rec, cycle)
        input_ids, lengths = torch.tensor([[3, 1, 4, 0], [2, 6, 5, 8]]), torch.tensor([3, 4])
        found = model(input_ids, lengths)
        assert found.shape == (2, 1, 16)
        assert not model.scores_every_position
        masked = torch.tensor([[False, False, False, True]])
        # What stands under a mask is not seen: 9 here, nothing there.
        wanted = model.fill(torch.tensor([[3, 1, 4, 9]]), torch.tensor([4]), masked)[:, 3]
        torch.testing.assert_close(found[0], wanted)
        turned = model(torch.tensor([[1, 3, 4, 0]]), torch.tensor([3]))
        assert not torch.allclose(turned[0], found[0])

    @torch.no_grad()
    def test_a_mask_is_seen_from_both_sides(self, cycle):
        model = untrained(BERT4Rec, cycle)
        masked = torch.tensor([[False, True, False]])
        lengths = torch.tensor([3])
        plain = model.fill(torch.tensor([[3, 1, 4]]), lengths, masked)[0, 1]
        for changed in ([5, 1, 4], [3, 1, 7]):
            assert not torch.allclose(model.fill(torch.tensor([changed]), lengths, masked)[0, 1], plain)

    def test_what_a_cloze_leaves_out(self):
        torch.manual_seed(0)
        lengths = torch.arange(400) % 10 + 1
        valid = torch.arange(10) < lengths[:, None]
        masked = left_out(valid, lengths, 0.3, 0.0)
        assert not (masked & ~valid).any()
        assert masked.any(dim=1).all()  # one at least, of one item too
        long = lengths == 10
        assert 0.25 < masked[long].float().mean() < 0.35
        last = left_out(valid, lengths, 0.3, 1.0)
        assert torch.equal(last.nonzero()[:, 1], lengths - 1)  # one a row, the last
        mixed = left_out(valid, lengths, 0.9, 0.5)[long].sum(dim=1)
        assert 0.3 < (mixed == 1).float().mean() < 0.7

    def test_its_loss_is_of_the_items_left_out(self, cycle):
        """With the last item alone out, it is the cross-entropy of what the model says behind the inputs."""
        model = untrained(BERT4Rec, cycle, last_share=1.0)
        input_ids, lengths = torch.tensor([[3, 1, 4], [2, 6, 0]]), torch.tensor([3, 2])
        labels = torch.tensor([[1, 4, 15], [6, 5, -100]])
        found = Cloze(model, TrainingOptions())(input_ids=input_ids, lengths=lengths, labels=labels)["loss"]
        logits = model(input_ids, lengths)[:, 0] @ model.item_vectors().T
        torch.testing.assert_close(found, F.cross_entropy(logits, torch.tensor([15, 5]) - 1))


@pytest.mark.parametrize(
    ("cls", "values", "sentence"),
    [
        (CaserOptions, {"window": 9, "max_length": 5}, "window is 9, but only the 5 items"),
        (CaserOptions, {"vertical_filters": 0}, "vertical_filters is 0, but must be at least 1"),
        (GRU4RecOptions, {"num_layers": 0}, "num_layers is 0, but must be at least 1"),
        (BERT4RecOptions, {"mask_share": 0.0}, r"mask_share is 0\.0, but must lie between"),
        (BERT4RecOptions, {"last_share": 1.5}, r"last_share is 1\.5, but"),
        (ESASRecOptions, {"num_heads": 3}, "hidden_size 128 is not a multiple of num_heads 3"),
        (GRU4RecOptions, {"dropout": 1.0}, r"dropout is 1\.0, but must be at least 0 and below 1"),
        (GRU4RecOptions, {"item_dropout": -0.1}, r"item_dropout is -0\.1, but must be at least 0 and below 1"),
        (GRU4RecOptions, {"id_dropout": 0.1}, r"id_dropout is 0\.1, but items have no text"),
        (GRU4RecOptions, {"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
    ],
)
def test_contradictions_are_refused(cls, values, sentence):
    with pytest.raises(UserError, match=sentence):
        cls(**values)
