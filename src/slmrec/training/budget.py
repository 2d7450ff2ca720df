"""How deep a student a budget allows, from what one layer and two really cost on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.evaluation import request_latency
from slmrec.models.items import ItemTable
from slmrec.training.build import build_llm
from slmrec.training.options import LLMOptions


@dataclass(frozen=True)
class LayerCost:
    """What a student of one layer costs, and each layer more."""

    milliseconds: float
    """One request of one layer, median on one thread."""
    milliseconds_more: float
    parameters: int
    """Held by one layer, the item table and the adapters included."""
    parameters_more: int

    def of(self, layers: int) -> tuple[float, int]:
        """Milliseconds and parameters of so many layers."""
        more = layers - 1
        return self.milliseconds + more * self.milliseconds_more, self.parameters + more * self.parameters_more


def layer_cost(data: Dataset, options: LLMOptions, items: ItemTable | None) -> LayerCost:
    """Measure a student of the first layer and of the first two, untrained: time and size are those of a trained one.

    Args:
        data: its catalogue and histories.
        options: the student's; its layers, however many and whichever, play no part.
        items: the table that its items start from.
    """
    measured = []
    for layers in (1, 2):
        model = build_llm(data, replace(options, layers=layers, layers_by=""), items).eval()
        if model.config.lora:
            model.merge_lora()
        measured.append((request_latency(model, data).p50, model.parameter_counts()["without_vocabulary"]))
    (one, small), (two, large) = measured
    return LayerCost(one, max(0.0, two - one), small, large - small)


def depth_within(
    cost: LayerCost,
    available: Sequence[int],
    *,
    milliseconds: float | None = None,
    parameters: int | None = None,
) -> int:
    """The deepest of the available depths that keeps to the budget.

    Raises:
        UserError: none does.
    """
    fitting = [
        layers
        for layers in available
        if (milliseconds is None or cost.of(layers)[0] <= milliseconds)
        and (parameters is None or cost.of(layers)[1] <= parameters)
    ]
    if not fitting:
        least = min(available)
        time, size = cost.of(least)
        asked = [] if milliseconds is None else [f"{milliseconds:g} ms"]
        asked += [] if parameters is None else [f"{parameters:,} parameters"]
        raise UserError(
            f"the budget is {' and '.join(asked)}, but a student of {least} layer{'s' if least > 1 else ''}, the "
            f"shallowest, takes {time:.1f} ms and holds {size:,} parameters; allow that, or take --kind sasrec"
        )
    return max(fitting)
