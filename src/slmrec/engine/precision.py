"""Linear maps in a named precision. Nothing is reduced unless it was asked for.

"fp32": as trained. "bf16": weights and inputs rounded to 8 bits of mantissa; half the memory traffic, and fast where
the machine has such instructions. "int8": weights in 7 bits, one scale an output, and inputs in 8, one scale a
position, so that no position suffers from another's outliers (a decoder's first states are huge). One bit less on one
side keeps AVX2's 16-bit sums of two products from overflowing (2 · 255 · 63 < 2^15), and inputs need theirs more: 7
bits for them and 8 for weights, with one scale a call, share 65 % of the ten best with fp32, this 87 % (docs/log.md).

"int4": weights alone in 4 bits, in groups of 64 inputs with a 16-bit scale and minimum each, so 4.5 bits a weight.
Simulated: products are fp32's over the rounded weights. It tells what such a model would lose; it saves nothing here,
as torch's own product over packed 4-bit weights is slower than fp32's on the CPUs that were tried.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.errors import UserError, nearest

Precision = Literal["fp32", "bf16", "int8", "int4"]
GROUP = 64
"""Inputs that share a scale in int4."""
Linears = Callable[[Tensor], Sequence[Tensor]]
"""(…, inputs) to several (…, outputs), float32 in and out."""


def check_precision(precision: str) -> None:
    """Raise UserError for a precision that is none of ours."""
    if precision not in get_args(Precision):
        raise UserError(f"precision is {precision!r}{nearest(precision, get_args(Precision))}")


def device_of(precision: Precision = "fp32") -> torch.device:
    """Where models run in a precision: on the accelerator, where there is one; int8 and int4 on the CPU."""
    accelerator = None if precision in ("int8", "int4") else torch.accelerator.current_accelerator()
    return accelerator or torch.device("cpu")


def stored_bytes(weight: Tensor, precision: Precision) -> int:
    """Bytes that a linear map's (outputs, inputs) weights take in a precision, with what they are scaled by."""
    outputs, inputs = weight.shape
    match precision:
        case "fp32":
            return 4 * outputs * inputs
        case "bf16":
            return 2 * outputs * inputs
        case "int8":
            return outputs * inputs + 4 * outputs
        case "int4":
            return outputs * -(-inputs // 2) + 4 * outputs * -(-inputs // GROUP)


def linears(modules: Sequence[nn.Linear], precision: Precision) -> Linears:
    """Linear maps of one input in the named precision.

    In "fp32" they are the modules themselves, and follow later changes of them; reduced ones are one product over
    the rows of all, which spares rounding the input again.
    """
    if precision == "fp32":
        return lambda inputs: [module(inputs) for module in modules]
    weight = torch.cat([module.weight.detach() for module in modules])
    bias = None
    if any(module.bias is not None for module in modules):
        own: list[Tensor] = [
            weight.new_zeros(module.out_features) if module.bias is None else module.bias for module in modules
        ]
        bias = torch.cat(own).detach()
    sizes: Any = [module.out_features for module in modules]
    products = {"bf16": _bf16, "int8": _int8, "int4": _int4}
    product = products[precision](weight, bias)
    return lambda inputs: product(inputs).split(sizes, dim=-1)


def _bf16(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    weight = weight.bfloat16()
    rounded = None if bias is None else bias.bfloat16()
    return lambda inputs: F.linear(inputs.bfloat16(), weight, rounded).float()


def _int4(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    rounded = four_bits(weight)
    return lambda inputs: F.linear(inputs, rounded, bias)


def four_bits(weight: Tensor) -> Tensor:
    """(outputs, inputs) weights as 4 bits, a scale and a minimum a group of `GROUP` inputs hold them."""
    inputs = weight.shape[1]
    # The last group is filled up by a value of its own, which changes neither of its ends.
    padded = torch.cat([weight, weight[:, -1:].expand(-1, -inputs % GROUP)], dim=1).float()
    groups = padded.unflatten(1, (-1, GROUP))
    least = groups.amin(dim=2, keepdim=True).half().float()
    scale = ((groups.amax(dim=2, keepdim=True) - least) / 15).half().float()
    steps = ((groups - least) / scale.clamp(min=torch.finfo(torch.float16).tiny)).round().clamp(0, 15)
    return (steps * scale + least).flatten(1)[:, :inputs].contiguous()


def _int8(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    if weight.device.type != "cpu":
        raise UserError(f"precision 'int8' runs on CPUs, but the model is on {weight.device}; use bf16 there")
    scales = (weight.abs().amax(dim=1) / 63).clamp(min=torch.finfo(torch.float32).tiny).double()
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    with warnings.catch_warnings():
        # torch means to remove its quantised tensors, but of the int8 products it has for CPUs this was by far the
        # fastest at one to ten positions (docs/log.md).
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        quantised = torch.quantize_per_channel(weight.float(), scales, zeros, axis=0, dtype=torch.qint8)
        packed = torch.ops.quantized.linear_prepack(quantised, None)

    def product(inputs: Tensor) -> Tensor:
        size = inputs.abs().amax(dim=-1, keepdim=True).clamp_(min=torch.finfo(torch.float32).tiny)
        outputs = torch.ops.quantized.linear_dynamic(inputs / size, packed).mul_(size)
        return outputs if bias is None else outputs.add_(bias)

    return product
