"""What was run and how it was measured, in words."""

from collections.abc import Mapping
from typing import Any

from slmrec.report.numbers import count
from slmrec.report.run import Run, title

LOSSES = {
    "softmax": "cross-entropy over all items",
    "sampled-softmax": "cross-entropy over sampled items",
    "gbce": "gBCE over sampled items",
}


def facts(run: Run) -> list[tuple[str, str]]:
    """Return (name, value) pairs: the data, the machine, the versions; only what the run says."""
    meta, machine = run.dataset.get("meta", {}), run.info.get("machine", {})
    started = [stage["started"] for stage in run.info.get("stages", []) if stage.get("started")]
    candidates = {
        "Source": run.info.get("source"),
        "Recipe": run.info.get("recipe_name"),
        "Format": meta.get("format"),
        "Split": meta.get("preparation", {}).get("split"),
        "Data fingerprint": run.dataset.get("fingerprint", "")[:12],
        "Started": min(started, default=None),
        "Training seeds": ", ".join(_training_seeds(run.info.get("recipe", {}))),
        "Evaluation seed": ", ".join(sorted({str(entry["seed"]) for entry in run.metrics.values()})),
        "Processor": machine.get("cpu"),
        "Cores": machine.get("cores"),
        "Accelerator": machine.get("accelerator"),
        "Memory": f"{machine['memory_gb']:g} GB" if "memory_gb" in machine else None,
        **{name: machine.get(name.lower()) for name in ("Python", "torch", "transformers", "slmrec")},
    }
    return [(name, str(value)) for name, value in candidates.items() if value not in (None, "")]


def recipe_in_short(run: Run) -> list[tuple[str, str]]:
    """Return (topic, sentence) pairs, one for each part that the run's recipe has."""
    recipe = run.info.get("recipe", {})
    ensemble, names = recipe.get("ensemble", {}), ("item_knn", "sequential_rules", "text_knn")
    # Not all that a recipe asks for is there: text-kNN stays away where items have no text.
    untrained = [title(name, inside=True) for name in names if ensemble.get(name) and name in run.metrics]
    said = []
    if sasrec := recipe.get("sasrec"):
        shape = f"{sasrec['num_blocks']} blocks of width {sasrec['hidden_size']}"
        said.append(("SASRec", f"{shape}, {_reads(sasrec)}; {_training(sasrec)}."))
    if teacher := recipe.get("teacher"):
        start = "The first" if teacher["pretrained"] else "Random weights in the shape of the first"
        shape = f"{start} {teacher['layers']} layers of {teacher['backbone']}"
        said.append(("Teacher", f"{shape}, {_weights(teacher)}, {_reads(teacher)}; {_training(teacher)}."))
    if student := recipe.get("student"):
        shape = f"The first {student['layers']} layers, {_weights(student)}"
        said.append(("Student", f"{shape}; {_training(student)}."))
    if distillation := recipe.get("distillation"):
        said.append(("Distillation", _distillation(distillation, ensemble, untrained)))
    if untrained:
        beside = f"Beside SASRec, and beside the student: {', '.join(untrained)}"
        said.append(("Neighbours", f"{beside}, each counted as the validation split would have it."))
    return said


def _distillation(options: Mapping[str, Any], ensemble: Mapping[str, Any], untrained: list[str]) -> str:
    if options["form"] == "scores":
        return (
            f"The student follows the scores of {_teachers(ensemble, untrained)} over each step’s targets and "
            f"{options['candidates']:,} drawn items (all, where there are no more), temperature "
            f"{options['temperature']:g}; cross-entropy weighs {options['cross_entropy']:g}. So does a SASRec."
        )
    form = {"paper": "equations", "published": "published code"}[options["form"]]
    shape = f"{options['blocks']} blocks, compared as in the paper’s {form}"
    weights = ", ".join(f"λ{'₀₁₂₃'[n]} = {options[f'lambda{n}']:g}" for n in (1, 2, 3))
    return f"{shape}; {weights}."


def _teachers(ensemble: Mapping[str, Any], untrained: list[str]) -> str:
    """Who teaches by scores; a run made before several could has no such section."""
    if not ensemble:
        return "the teacher"
    many = ensemble["sasrecs"]
    sasrecs = f"{many} SASRecs" if many > 1 else "SASRec"
    return f"the teacher and {', '.join([sasrecs, *untrained])} together"


def protocol(run: Run) -> list[str]:
    """Return how the metrics came about and how far they can be trusted, a paragraph an entry."""
    entry = next(iter(run.metrics.values()))
    ranking = {
        "full": "Each model ranks the full catalogue for each case; nothing is sampled.",
        "sampled": "Each target is ranked among 999 sampled items only, which flatters every model; "
        "such numbers compare only with papers that sampled, too.",
    }[entry["protocol"]]
    seen = {
        "masked": "Items of the case’s history are left out of the list; a target among them counts as not found.",
        "kept": "Items of the case’s history stay in the list.",
    }[entry["seen"]]
    ties = "Ties count against the model: an item scored like the target is ranked above it."
    cold = entry["cold_targets"]
    unseen = {
        0: "Every target occurs in the training data.",
        1: "1 target never occurs in the training data; it is counted like any other.",
    }.get(cold, f"{count(cold)} targets never occur in the training data; they are counted like any other.")
    return [
        f"{ranking} {seen} {ties} {unseen}",
        "Validation chose the epoch of each model; the test split served the numbers above alone. Intervals "
        "are 95 % percentile bootstraps, over users, of the paired difference in NDCG@10.",
        "Each model was trained with one seed. The intervals tell how much hangs on the users drawn, not how "
        "much on the seed: take differences within them as noise, and repeat the run with other seeds "
        "before believing small ones outside.",
    ]


def _training_seeds(recipe: Mapping[str, Any]) -> list[str]:
    parts = (recipe.get(name, {}).get("training", {}) for name in ("sasrec", "teacher", "student"))
    return sorted({str(part["seed"]) for part in parts if "seed" in part})


def _weights(options: Mapping[str, Any]) -> str:
    trained = f"LoRA of rank {options['lora_rank']}" if options["lora_rank"] else "all their weights trained"
    return f"{trained}, item table {'trained' if options['train_items'] else 'frozen'}"


def _reads(options: Mapping[str, Any]) -> str:
    return f"reading the last {options['max_length']} items"


def _training(options: Mapping[str, Any]) -> str:
    training = options["training"]
    steps, epochs, loss = training["max_steps"], training["epochs"], LOSSES[training["loss"]]
    length = f"{steps} steps" if steps > 0 else f"up to {epochs} epochs"
    batch = f"batch {training['batch_size']}"
    if training.get("batch_positions"):
        batch += f" or about {training['batch_positions']} positions"
    return f"{length} of {loss}, {batch}, learning rate {training['learning_rate']:g}"
