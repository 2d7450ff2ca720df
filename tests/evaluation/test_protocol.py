"""Truth: plain loops over the rule, planted answers, golden values, scikit-learn on whole score matrices."""

import json
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from slmrec.errors import UserError
from slmrec.evaluation.metrics import NOT_FOUND
from slmrec.evaluation.protocol import _negatives, _ranks, evaluate

GOLDEN = json.loads((Path(__file__).parents[1] / "golden.json").read_text())["ranking"]


def rank_by_loops(scores, target: int, out: set[int], rivals) -> float:
    """The rule of ranking, one item at a time; all arguments are item indices from 1."""
    if target in out:
        return NOT_FOUND
    return sum(scores[i - 1] >= scores[target - 1] for i in rivals if i != target and i not in out)


def test_golden_ranks() -> None:
    ours = _ranks(
        torch.tensor(GOLDEN["scores"]),
        np.array(GOLDEN["targets"]),
        [np.array(seen, dtype=int) for seen in GOLDEN["seen"]],
        None,
    )
    theirs = [NOT_FOUND if rank is None else rank for rank in GOLDEN["zero_based_ranks"]]
    assert ours.tolist() == theirs


@given(st.data())
def test_plain_loops_give_the_same_ranks(make_data, make_scorer, data: st.DataObject) -> None:
    num_items = data.draw(st.integers(2, 12))
    item = st.integers(1, num_items)
    histories = data.draw(st.lists(st.lists(item, min_size=3, max_size=9), min_size=1, max_size=6))
    table = np.array(
        data.draw(st.lists(st.integers(0, 4), min_size=num_items * num_items, max_size=num_items * num_items))
    ).reshape(num_items, num_items)  # few values, so many ties
    split, seen = (
        data.draw(st.sampled_from(["valid", "test"])),
        data.draw(st.sampled_from(["masked", "kept"])),
    )
    dataset = make_data(histories, num_items)
    model = make_scorer(dataset.catalogue, lambda history: table[history[-1] - 1])
    ours = evaluate(model, dataset, split, seen=seen, batch_size=data.draw(st.integers(1, 7))).ranks
    last = -1 if split == "test" else -2
    theirs = [
        rank_by_loops(
            table[history[last - 1] - 1],
            history[last],
            set(history[:last]) if seen == "masked" else set(),
            range(1, num_items + 1),
        )
        for history in histories
    ]
    assert ours.tolist() == theirs


def test_scikit_learn_agrees_on_whole_score_matrices(make_data, make_scorer) -> None:
    rng = np.random.default_rng(1)
    users, num_items = 80, 50
    histories = [[user % 50 + 1, *rng.integers(1, 51, size=4)] for user in range(users)]
    data = make_data(histories, num_items)
    scores = {tuple(history[:-1]): rng.permutation(num_items) for history in histories}
    model = make_scorer(data.catalogue, lambda history: scores[tuple(history)])
    ours = evaluate(model, data, seen="kept").metrics
    matrix = np.stack([scores[tuple(history[:-1])] for history in histories])
    relevant = np.eye(num_items)[[history[-1] - 1 for history in histories]]
    for k in (5, 10, 20):
        assert ours[f"NDCG@{k}"] == pytest.approx(ndcg_score(relevant, matrix, k=k))
    assert ours["MRR"] == pytest.approx(label_ranking_average_precision_score(relevant, matrix))


@pytest.mark.parametrize("protocol", ["full", "sampled"])
@pytest.mark.parametrize("seen", ["masked", "kept"])
def test_a_constant_model_hits_nothing(random_data, make_scorer, protocol: str, seen: str) -> None:
    model = make_scorer(random_data.catalogue, lambda history: np.zeros(random_data.num_items))
    evaluation = evaluate(model, random_data, protocol=protocol, seen=seen)
    assert evaluation.metrics["HR@20"] == 0
    assert (evaluation.ranks >= 999).all()


@pytest.mark.parametrize("protocol", ["full", "sampled"])
def test_a_planted_answer_is_found(make_data, make_scorer, protocol: str) -> None:
    rng = np.random.default_rng(2)
    histories = [[user, *rng.permutation(np.arange(101, 1201))[:6]] for user in range(1, 101)]
    data = make_data(histories, 1200)
    model = make_scorer(data.catalogue, lambda history: np.arange(1, 1201) == histories[history[0] - 1][len(history)])
    for split in ("valid", "test"):
        assert set(evaluate(model, data, split, protocol).metrics.values()) == {1.0}


def test_a_seen_target_is_not_found_when_masked(make_data, make_scorer) -> None:
    # The target is the first event of a history of 300, longer than most models read.
    data = make_data([[7, *range(8, 308), 7]], 400)
    model = make_scorer(data.catalogue, lambda history: -np.arange(400))
    assert evaluate(model, data, seen="masked").ranks.tolist() == [NOT_FOUND]
    assert evaluate(model, data, protocol="sampled").ranks.tolist() == [NOT_FOUND]
    assert evaluate(model, data, seen="kept").ranks.tolist() == [6]


def test_the_whole_history_is_masked_and_each_item_once(make_data, make_scorer) -> None:
    # Items 1..5 all beat the target 6; of them 1, 2 and 3 were seen, 2 three times.
    data = make_data([[1, 2, 2, 3, 2, 6]], 10)
    model = make_scorer(data.catalogue, lambda history: -np.arange(10))
    assert evaluate(model, data).ranks.tolist() == [2]
    assert evaluate(model, data, seen="kept").ranks.tolist() == [5]


@pytest.mark.parametrize("protocol", ["full", "sampled"])
def test_the_batch_size_changes_nothing(random_data, random_scorer, protocol: str) -> None:
    one, many, all_at_once = (
        evaluate(random_scorer, random_data, protocol=protocol, batch_size=size) for size in (1, 7, 1000)
    )
    assert one.ranks.tolist() == many.ranks.tolist() == all_at_once.ranks.tolist()
    assert one.metrics == many.metrics == all_at_once.metrics


def test_batches_hold_histories_of_like_length(random_data, make_scorer) -> None:
    model = make_scorer(random_data.catalogue, lambda history: np.zeros(random_data.num_items))
    evaluate(model, random_data, batch_size=8)
    assert model.lengths == sorted(model.lengths, reverse=True)
    assert len(set(model.lengths)) > 8


def test_a_model_may_get_the_newest_events_alone_while_all_stay_masked(make_data, make_scorer) -> None:
    data = make_data([[1, 2, 3, 4, 5]], num_items=6)
    got = []

    def scores(history: np.ndarray) -> np.ndarray:
        got.append(history.tolist())
        return np.arange(6, 0, -1)  # item 1 first, then 2, …

    found = evaluate(make_scorer(data.catalogue, scores), data, newest=2)
    assert got == [[3, 4]]
    assert found.ranks.tolist() == [0]  # items 1 to 4 are out of the list, also those that the model was not given


def test_shuffled_histories_hold_the_same_items_in_an_order_of_their_own(random_data, make_scorer) -> None:
    plain, mixed = {}, {}

    def noting(kept: dict) -> object:
        def scores(history: np.ndarray) -> np.ndarray:
            kept[tuple(sorted(history.tolist())), len(kept)] = history.tolist()
            return np.zeros(random_data.num_items)

        return make_scorer(random_data.catalogue, scores)

    evaluate(noting(plain), random_data)
    evaluate(noting(mixed), random_data, shuffled=True)
    assert plain.keys() == mixed.keys()  # case by case the same items
    moved = [plain[key] != mixed[key] for key in plain if len(set(plain[key])) > 3]
    assert sum(moved) > 0.8 * len(moved)
    again: dict = {}
    evaluate(noting(again), random_data, shuffled=True)
    assert again == mixed


def test_every_prefix_of_a_test_session_is_a_case(make_data, make_scorer) -> None:
    data = make_data([[1, 2, 3], [3, 1, 4, 2]], 4, splits=[[0, 0, 0], [2, 2, 2, 2]])
    model = make_scorer(data.catalogue, lambda history: np.arange(4) == history[-1] % 4)  # successor on top
    evaluation = evaluate(model, data, seen="kept")
    # 3→1: item 4 is on top and the rest tie; 3,1→4: item 2 is on top; 3,1,4→2: item 1 is on top
    assert evaluation.ranks.tolist() == [3, 3, 3]
    assert (evaluation.users, len(evaluation.cases)) == (1, 3)
    # masking takes 3, then 3 and 1, then 3, 1 and 4 out
    assert evaluate(model, data).ranks.tolist() == [2, 1, 0]


def test_negatives_are_distinct_items_the_user_never_meets(random_data) -> None:
    cases = random_data.cases("valid")  # the test item must not be drawn either
    for user, position in zip(cases.users, cases.positions, strict=True):
        drawn = _negatives(random_data, user, position, seed=3)
        assert len(set(drawn)) == 999
        assert drawn.min() >= 0
        assert drawn.max() < random_data.num_items
        assert not set(drawn + 1) & set(random_data.full_history(user))


def test_negatives_are_fixed_by_seed_and_case(random_data) -> None:
    user, position = 3, int(random_data.offsets[4]) - 1
    drawn = _negatives(random_data, user, position, seed=3).tolist()
    assert _negatives(random_data, user, position, seed=3).tolist() == drawn
    assert _negatives(random_data, user, position, seed=4).tolist() != drawn
    assert _negatives(random_data, user, position - 1, seed=3).tolist() != drawn


def test_negatives_are_uniform(make_data) -> None:
    data = make_data([[1, 2, 700, 1100, 1]] * 300, 1100)
    drawn = Counter(
        int(column) for user in range(300) for column in _negatives(data, user, int(data.offsets[user + 1]) - 1, seed=0)
    )
    assert set(drawn) == set(range(1100)) - {0, 1, 699, 1099}
    # Drawn without repetition the counts vary less than chi-square supposes; a biased draw would be far off.
    assert chisquare(list(drawn.values())).pvalue > 0.01
    halves = [sum(n for column, n in drawn.items() if low <= column < low + 550) for low in (0, 550)]
    assert halves[0] / sum(halves) == pytest.approx(547 / 1096, abs=0.005)


@pytest.mark.parametrize("seen", ["masked", "kept"])
def test_sampled_ranks_are_ranks_among_the_negatives(random_data, random_scorer, seen: str) -> None:
    evaluation = evaluate(random_scorer, random_data, "valid", "sampled", seen, seed=9)
    theirs = [
        rank_by_loops(
            random_scorer.scores_of(random_data.history(user, position)),
            int(random_data.sequence[position]),
            set(random_data.history(user, position)) if seen == "masked" else set(),
            _negatives(random_data, user, position, seed=9) + 1,
        )
        for user, position in zip(evaluation.cases.users, evaluation.cases.positions, strict=True)
    ]
    assert evaluation.ranks.tolist() == theirs
    assert evaluation.negatives == 999


def test_a_small_catalogue_gives_all_its_negatives_and_says_so(make_data, make_scorer, caplog) -> None:
    rng = np.random.default_rng(4)
    data = make_data([rng.permutation(np.arange(1, 31))[: 5 + user] for user in range(10)], 30, name="tiny")
    model = make_scorer(data.catalogue, lambda history: np.random.default_rng(history).integers(0, 9, 30))
    with caplog.at_level(logging.WARNING, "slmrec"):
        sampled = evaluate(model, data, protocol="sampled")
    # In the test split a user's items are the history and the target, so all that is left is the full list.
    assert sampled.ranks.tolist() == evaluate(model, data).ranks.tolist()
    assert sampled.negatives == 30 - 14
    assert "tiny has too few items for 999 negatives" in caplog.text
    assert "16 in the smallest case" in caplog.text


def test_a_subset_of_cases_is_drawn_by_the_seed(random_data, random_scorer) -> None:
    whole = evaluate(random_scorer, random_data)
    subset = evaluate(random_scorer, random_data, max_cases=10, seed=1)
    again = evaluate(random_scorer, random_data, max_cases=10, seed=1, batch_size=3)
    other = evaluate(random_scorer, random_data, max_cases=10, seed=2)
    assert len(set(subset.cases.positions)) == 10
    assert subset.cases.positions.tolist() == again.cases.positions.tolist()
    assert subset.cases.positions.tolist() != other.cases.positions.tolist()
    where = np.searchsorted(whole.cases.positions, subset.cases.positions)
    assert subset.ranks.tolist() == whole.ranks[where].tolist()
    assert len(evaluate(random_scorer, random_data, max_cases=1000).cases) == 40


def test_cold_targets_are_counted(make_data, make_scorer) -> None:
    # Item 4 occurs in valid alone and 5 in test alone; 1 is trained on.
    data = make_data([[1, 2, 4, 5], [2, 3, 1, 4], [3, 1, 2, 1]], 6)
    model = make_scorer(data.catalogue, lambda history: np.zeros(6))
    assert evaluate(model, data, "test").cold_targets == 2
    assert evaluate(model, data, "valid").cold_targets == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("protocol", ["full", "sampled"])
def test_a_score_that_is_no_number_is_an_error(make_data, make_scorer, value: float, protocol: str) -> None:
    data = make_data([[1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6]], 9)

    def scores_of(history: np.ndarray) -> np.ndarray:
        return np.where((np.arange(9) == 7) & (history[0] == 2), value, 0.0)

    model = make_scorer(data.catalogue, scores_of)
    sentence = rf"^the model 'teacher' scored item 'i8' as {value} for user 'u1' before event 4; "
    with pytest.raises(UserError, match=sentence):
        evaluate(model, data, protocol=protocol, name="teacher")


def test_scores_are_read_only(random_data, make_scorer) -> None:
    # All rows share one row of memory, as a model without a history may return them.
    counts = torch.from_numpy(random_data.item_counts()[1:]).float()
    model = make_scorer(random_data.catalogue, lambda history: counts.numpy())
    expected = evaluate(model, random_data).ranks
    before = counts.clone()
    model.score = lambda histories: counts.expand(len(histories), -1)
    assert evaluate(model, random_data).ranks.tolist() == expected.tolist()
    assert torch.equal(counts, before)


class Dropping(torch.nn.Module):
    """A model in training, whose scores are noise unless dropout is off."""

    kind = "dropping"

    def __init__(self, catalogue) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.weight = torch.nn.Parameter(torch.arange(len(catalogue), dtype=torch.float32))

    def score(self, histories) -> torch.Tensor:
        scores = torch.nn.functional.dropout(self.weight * 1, 0.5, self.training)  # (N,)
        assert not scores.requires_grad
        return scores.expand(len(histories), -1)

    def parameter_counts(self) -> dict[str, int]:
        return {}


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_evaluated_at_rest_and_goes_on_as_it_was(random_data, training: bool) -> None:
    model = Dropping(random_data.catalogue).train(training)
    first, second = evaluate(model, random_data, seen="kept"), evaluate(model, random_data, seen="kept")
    targets = random_data.sequence[first.cases.positions]
    assert first.ranks.tolist() == second.ranks.tolist() == (random_data.num_items - targets).tolist()
    assert model.training is training
    assert model.weight.requires_grad


def test_progress_counts_cases(random_data, random_scorer) -> None:
    calls: list[tuple[int, int]] = []
    evaluate(random_scorer, random_data, batch_size=15, progress=lambda *call: calls.append(call))
    assert calls == [(15, 40), (30, 40), (40, 40)]


def test_json_has_the_documented_keys(random_data, random_scorer) -> None:
    evaluation = evaluate(random_scorer, random_data, seed=6, name="student")
    written = json.loads(json.dumps(evaluation.to_json()))
    assert written.pop("seconds") > 0
    assert list(written.pop("metrics")) == [
        *("HR@1", "HR@5", "HR@10", "HR@20"),
        *("NDCG@5", "NDCG@10", "NDCG@20", "MRR"),
    ]
    assert written == {
        **{"model": "student", "kind": "table", "data": "toy", "split": "test", "protocol": "full"},
        **{"seen": "masked", "users": 40, "cases": 40, "cold_targets": evaluation.cold_targets, "seed": 6},
        "parameters": {"total": 3, "without_vocabulary": 2, "trained": 1},
    }
    assert evaluate(random_scorer, random_data).model == "table"


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"split": "tset"}, "split is 'tset'; did you mean 'test'"),
        ({"protocol": "smapled"}, "protocol is 'smapled'; did you mean 'sampled'"),
        ({"seen": "hidden"}, "seen is 'hidden'; known are: kept, masked"),
        ({"batch_size": 0}, "batch_size is 0, but must be at least 1"),
        ({"max_cases": 0}, "max_cases is 0, but must be at least 1"),
        ({"seed": -1}, "seed is -1, but must be at least 0"),
        ({"newest": 0}, "newest is 0, but must be at least 1"),
    ],
)
def test_a_wrong_request_is_refused_before_any_scoring(random_data, make_scorer, request_, sentence) -> None:
    model = make_scorer(random_data.catalogue, lambda history: pytest.fail("scored"))
    with pytest.raises(UserError, match=sentence):
        evaluate(model, random_data, **request_)


def test_a_split_without_cases_is_refused(make_data, make_scorer) -> None:
    data = make_data([[1, 2, 3]], 3, splits=[[0, 0, 0]], name="all-train")
    model = make_scorer(data.catalogue, lambda history: np.zeros(3))
    with pytest.raises(UserError, match=r"^all-train has no valid cases"):
        evaluate(model, data, "valid")


def test_a_model_of_another_catalogue_is_refused(random_data, make_data, make_scorer) -> None:
    other = make_data([[1, 2, 3]], 7)
    model = make_scorer(other.catalogue, lambda history: pytest.fail("scored"))
    with pytest.raises(UserError, match="'sasrec' ranks a catalogue of 7 items and toy has another one, of 1300"):
        evaluate(model, random_data, name="sasrec")


def test_scores_of_the_wrong_shape_are_a_fault(random_data, make_scorer) -> None:
    model = make_scorer(random_data.catalogue, lambda history: np.zeros(3))
    with pytest.raises(ValueError, match=r"scores of shape \(40, 3\), expected \(40, 1300\)"):
        evaluate(model, random_data)
