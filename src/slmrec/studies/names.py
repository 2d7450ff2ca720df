"""Which studies there are; apart, so that help pages need not wait for torch."""

STUDIES = {
    "models": "every kind of model, ensembles and taught students on one protocol",
    "ensembles": "teachers that count alike, or as the validation split would have it",
    "layers": "LLM recommenders of the first L layers, and one read out after each",
    "redundancy": "a trained model without some of its layers",
    "ablation": "each part of the distillation loss",
    "blocks": "how many blocks teacher and student are cut into",
    "teachers": "depths of teacher and student",
    "kd": "states against scores, temperatures, weights, best items, online",
    "cold-start": "few events, rare items, few users",
    "order": "histories out of order",
    "averaging": "a moving average of a training's weights against those of its best epoch",
    "pretraining": "the language model's weights against random ones",
    "efficiency": "parameters and time of every kind of model, beside the paper's",
    "compression": "fewer layers, narrower ones with healing, int8, int4, smaller item tables",
}
"""What each study is about."""
