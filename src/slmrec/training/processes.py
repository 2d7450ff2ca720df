"""A training is one process or those of a torchrun; nobody else is at its folder meanwhile."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from accelerate import PartialState

from slmrec.exclusive import exclusive

P = ParamSpec("P")
Made = TypeVar("Made")


def processes_here() -> PartialState:
    """This process alone, or those of a torchrun."""
    return PartialState(cpu=not torch.accelerator.is_available())


def exclusively(make: Callable[P, Made]) -> Callable[P, Made]:
    """Have the model folder ``out`` to this training for as long as ``make`` takes.

    Raises:
        UserError: another process is at work on it.
    """
    signature = inspect.signature(make)

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Made:
        out = signature.bind(*args, **kwargs).arguments["out"]
        with exclusive(out) if processes_here().is_main_process else nullcontext():
            return make(*args, **kwargs)

    return made
