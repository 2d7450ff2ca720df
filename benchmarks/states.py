"""How large the states of first and later items are, with and without a prompt before them (docs/concepts/method.md).

    python benchmarks/states.py [--result FILE]

SmolLM2-135M's first 8 layers, adapters as training starts them, four histories of 50 items of MovieLens-100K.
"""

import argparse
from pathlib import Path

import torch

from slmrec.data import prepare_source
from slmrec.data.batches import collate, training_examples
from slmrec.files import write_json
from slmrec.models.items import ItemTable
from slmrec.provenance import provenance
from slmrec.training.build import build_llm
from slmrec.training.options import LLMOptions

LAYERS = (2, 4, 6, 8)
PROMPTS = ("", "Items that a user chose, oldest first:")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--result", type=Path, default=Path(__file__).parent / "results" / "states.json")
    arguments = parser.parse_args()
    data = prepare_source("ml-100k")
    examples = [e for e in training_examples(data, 50, "every-position") if len(e.inputs) == 50][:4]
    batch = collate(examples)
    found = []
    for prompt in PROMPTS:
        torch.manual_seed(0)
        vectors = torch.randn(data.num_items, 64)
        model = build_llm(data, LLMOptions(layers=8, prompt_before=prompt), ItemTable.of(vectors)).eval()
        with torch.no_grad():
            norms = model.hidden(batch["input_ids"], batch["lengths"], LAYERS).square().sum(-1)  # (K, B, R)
        found.append(
            {
                "prompt": prompt,
                "prompt_tokens": model.config.prompt_lengths[0],
                "layers": LAYERS,
                "first_item": [round(value) for value in norms[:, :, 0].mean(1).tolist()],
                "later_items": [round(value) for value in norms[:, :, 1:].mean((1, 2)).tolist()],
            }
        )
    write_json(arguments.result, {"squared_norms": found, "seed": 0, "provenance": provenance()})


if __name__ == "__main__":
    main()
