"""A student's depth from a budget: by arithmetic, and against models that are really that deep."""

import pytest

from slmrec.errors import UserError
from slmrec.models.items import ItemTable
from slmrec.training.budget import LayerCost, depth_within, layer_cost
from slmrec.training.build import build_llm
from slmrec.training.options import LLMOptions

COST = LayerCost(milliseconds=2.0, milliseconds_more=1.5, parameters=1000, parameters_more=400)


def test_the_deepest_that_keeps_to_both_budgets():
    depths = range(1, 9)
    assert COST.of(4) == (6.5, 2200)
    assert depth_within(COST, depths, milliseconds=6.5) == 4
    assert depth_within(COST, depths, milliseconds=6.4) == 3
    assert depth_within(COST, depths, parameters=1799) == 2
    assert depth_within(COST, depths, milliseconds=100, parameters=1400) == 2
    assert depth_within(COST, depths) == 8
    assert depth_within(COST, [2, 4, 6, 8], milliseconds=7.9) == 4  # whole blocks


def test_a_budget_that_nothing_keeps_to_says_what_the_least_costs():
    with pytest.raises(
        UserError, match=r"1\.5 ms and 10 parameters, but a student of 1 layer, the shallowest, takes 2\.0"
    ):
        depth_within(COST, range(1, 9), milliseconds=1.5, parameters=10)
    with pytest.raises(UserError, match=r"of 4 layers, the shallowest, takes 6\.5 ms and holds 2,200"):
        depth_within(COST, [4, 8], milliseconds=5)


def test_parameters_are_those_of_a_student_that_deep(cycle, llama):
    options = LLMOptions(backbone=str(llama), layers=4, layers_by="influence", max_length=7, lora_rank=2)
    cost = layer_cost(cycle, options, ItemTable(cycle.num_items, 8))
    for layers in (1, 3, 4):
        model = build_llm(cycle, LLMOptions(backbone=str(llama), layers=layers, max_length=7), ItemTable(20, 8))
        assert cost.of(layers)[1] == model.parameter_counts()["without_vocabulary"]
    assert cost.milliseconds > 0
