"""The first N layers of a pretrained decoder, without its word table.

Any decoder that transformers loads by `AutoModel` works: a hub name, a folder, a folder with one GGUF file, or the
packaged `smollm2-135m`. The word table is read once, for the prompt's few tokens, and not kept.

So does the folder of an LLM recommender that was trained here, on whatever items: its decoder's weights are taken, and
words from the decoder that it came from. A recommender of one domain thus starts from one of others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedModel

from slmrec.data.packages import Report
from slmrec.data.sources import KNOWN, fetch
from slmrec.errors import UserError
from slmrec.files import read_json, whole_folder
from slmrec.models.titles import mean_word_vectors
from slmrec.models.width import with_hidden

FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
"""Where decoders keep the norm after their last layer: LLaMA and most, GPT-2, OPT and BLOOM-likes, Phi."""


@dataclass(frozen=True)
class Pretrained:
    """What is taken from a pretrained decoder."""

    config: dict[str, Any]
    """Its configuration, cut to the kept layers and to a word table of one row."""
    state: dict[str, Tensor]
    """Weights of the kept layers and the final norm; none of the word table."""
    prompts: tuple[Tensor, ...]
    """(P, D) word vectors of each text asked for."""
    titles: Tensor | None
    """(N, D) mean word vectors of the titles asked for."""
    vocabulary_parameters: int
    """Size of the word table that was left behind."""
    embedding_scale: float
    """Root mean square of the word table's entries: the scale of inputs that the first layer is used to."""
    layers: int
    """Layers of the whole decoder."""


def load_pretrained(
    name: str,
    layers: int | None,
    texts: tuple[str, ...],
    *,
    weights: bool = True,
    width: int = 0,
    titles: Sequence[str] | None = None,
) -> Pretrained:
    """Read the first ``layers`` (all if None) of decoder ``name`` and the word vectors of ``texts``.

    Args:
        name: hub name, folder, or a packaged backbone.
        layers: how many to keep.
        texts: prompts; special tokens are added to none of them.
        weights: False takes random weights of the same shape instead (the word vectors too), to measure what
            pretraining gives.
        width: hidden width of a decoder of random weights; 0: its own.
        titles: texts of which the mean word vectors are wanted, an empty one having zeros.

    Raises:
        UserError: no such backbone, fewer layers than asked for, or no decoder of that width.
    """
    assert not (weights and width), "weights have a width of their own"
    config = check_backbone(name, layers, width=width)
    where, options = locate(name)
    available = config.num_hidden_layers
    if (trained := _trained_here(name)) is not None:
        source, own = trained["backbone_name"], config.hidden_size
        width = own if own != check_backbone(source, 1).hidden_size else 0  # no words of the source fit another width
        words = load_pretrained(source, 1, texts, weights=weights and not width, width=width, titles=titles)
        small = cut_config(config, layers or available)
        state = _weights_of(Path(name), small) if weights else build_backbone(small).state_dict()
        return replace(words, config=small, state=state, layers=available)
    try:
        if weights:
            model = AutoModel.from_pretrained(where, dtype=torch.float32, **options)
        else:
            model = AutoModel.from_config(config, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(where, **options) if any(texts) or titles else None
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"backbone '{name}' is damaged or incomplete ({reason})") from error
    table = model.get_input_embeddings().weight.detach()
    prompts = tuple(
        table[tokenizer(text, add_special_tokens=False).input_ids].clone() if tokenizer and text else table[:0].clone()
        for text in texts
    )
    small = cut_config(config, layers or available)
    empty = build_backbone(small)
    state = {key: value for key, value in model.state_dict().items() if key in empty.state_dict()}
    norm = final_norm_name(model)
    state |= {key: value for key, value in model.state_dict().items() if key.startswith(f"{norm}.")}
    return Pretrained(
        config=small,
        state=state,
        prompts=prompts,
        titles=mean_word_vectors(table, tokenizer, titles) if titles and tokenizer else None,
        vocabulary_parameters=table.numel(),
        embedding_scale=float(table.square().mean().sqrt()),
        layers=available,
    )


def _trained_here(name: str) -> dict[str, Any] | None:
    """config.json of an LLM recommender's folder; None for any other backbone."""
    path = Path(name) / "config.json"
    if not path.is_file():
        return None
    config = read_json(path, "backbone")
    return config if isinstance(config, dict) and config.get("model_type") == "slmrec" else None


def _weights_of(folder: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """Weights of an LLM recommender's first layers and final norm, by the decoder's own names.

    Raises:
        UserError: they are damaged.
    """
    empty = build_backbone(config)
    norm = final_norm_name(empty)
    try:
        held = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise UserError(f"backbone '{folder}' is damaged or incomplete ({error}); train or copy it again") from error
    state = {key.removeprefix("backbone."): value for key, value in held.items() if key.startswith("backbone.")}
    state |= {f"{norm}.{key.split('.', 1)[1]}": value for key, value in held.items() if key.startswith("final_norm.")}
    return {key: value for key, value in state.items() if key in empty.state_dict()}


def check_backbone(
    name: str,
    layers: int | None,
    report: Report | None = None,
    role: str = "backbone",
    packaged: str = "smollm2-135m",
    *,
    width: int = 0,
) -> PretrainedConfig:
    """The configuration of a decoder that has at least ``layers`` layers; its weights are not read.

    Args:
        name: hub name, folder, or a packaged one.
        layers: it must have as many; None: any.
        report: told what is fetched.
        role: what a refusal calls it.
        packaged: what a refusal names as the one that is always there.
        width: hidden width that the configuration is brought to, which takes random weights; 0: its own.

    Raises:
        UserError: no such backbone, fewer layers than asked for, or no decoder of that width.
    """
    where, options = locate(name, report)
    try:
        trained = _trained_here(name)
        config = AutoConfig.from_pretrained(where, **options) if trained is None else _parse(trained["backbone"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{role} '{name}' cannot be loaded ({str(error).strip().splitlines()[0]}); give a folder, a Hugging Face "
            f"name that this machine can reach, or the packaged {packaged}"
        ) from error
    config = config.get_text_config()
    if layers is not None and not 1 <= layers <= config.num_hidden_layers:
        raise UserError(f"backbone '{name}' has {config.num_hidden_layers} layers, but {layers} were asked for")
    return with_hidden(config, width) if width else config


def cut_config(config: PretrainedConfig, layers: int) -> dict[str, Any]:
    """A decoder's configuration, cut to its first layers and to a word table of one row."""
    return choose_layers(config, range(layers))


def choose_layers(config: PretrainedConfig, kept: Sequence[int]) -> dict[str, Any]:
    """A decoder's configuration with only some of its layers, by their place from 0, and a word table of one row."""
    small = config.to_dict()
    for key in ("quantization_config", "_name_or_path", "transformers_version"):
        small.pop(key, None)
    small.update(vocab_size=1, pad_token_id=None, bos_token_id=None, eos_token_id=None, unk_token_id=None)
    small[config.attribute_map.get("num_hidden_layers", "num_hidden_layers")] = len(kept)
    if small.get("layer_types"):
        small["layer_types"] = [small["layer_types"][layer] for layer in kept]
    return small


def build_backbone(config: dict[str, Any]) -> PreTrainedModel:
    """An untrained decoder of this configuration, its word table replaced by nothing."""
    parsed = _parse(config)
    backbone = AutoModel.from_config(parsed)
    backbone.set_input_embeddings(nn.Identity())  # it is fed vectors; an unused table would only trouble DDP
    return backbone


def final_norm_name(backbone: nn.Module) -> str:
    """Name of the norm after the last layer.

    Raises:
        UserError: the decoder has none of the known names.
    """
    for name in FINAL_NORMS:
        if isinstance(getattr(backbone, name, None), nn.Module):
            return name
    raise UserError(
        f"{type(backbone).__name__} has no final norm under any of the names {', '.join(FINAL_NORMS)}; "
        "this decoder is not supported"
    )


def _parse(config: dict[str, Any]) -> PretrainedConfig:
    options = {key: value for key, value in config.items() if key != "model_type"}
    return AutoConfig.for_model(config["model_type"], **options)


def locate(name: str, report: Report | None = None) -> tuple[str, dict[str, Any]]:
    """Where transformers finds the backbone, and the options it needs."""
    folder = _converted(fetch(name, report), report) if name in KNOWN else Path(name)
    if folder.is_dir():
        quantised = sorted(folder.glob("*.gguf"))
        if quantised and not (folder / "config.json").exists():
            return str(folder), {"gguf_file": quantised[0].name}
        return str(folder), {}
    return name, {}


def _converted(folder: Path, report: Report | None) -> Path:
    """A packaged GGUF file as a folder of transformers' own, made once: reading GGUF takes a quarter of a minute."""
    if (folder / "config.json").exists():
        return folder
    target = folder.with_name(f"{folder.name}.transformers")
    if (target / "config.json").exists():
        return target
    files = sorted(folder.glob("*.gguf"))
    if not files:
        raise UserError(
            f"'{folder.name}' is a packaged data set, not a backbone; the packaged backbone is smollm2-135m"
        )
    if report:
        report(f"converting {folder.name}")
    model = AutoModel.from_pretrained(str(folder), gguf_file=files[0].name, dtype=torch.float32)
    # It was dequantised on loading, but still calls itself quantised, and such a model refuses to be saved.
    del model.config.quantization_config
    model.hf_quantizer = None
    with whole_folder(target, marker="config.json") as scratch:
        model.save_pretrained(scratch)
        AutoTokenizer.from_pretrained(str(folder), gguf_file=files[0].name).save_pretrained(scratch)
    return target
