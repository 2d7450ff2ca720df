"""By which options a training, and the model that it makes, is told from others."""

from typing import Any


def chosen(value: Any) -> Any:
    """Options as JSON gives them back, without what is off (none, zero, false, empty) at any depth.

    So an option that is added later and is off changes nothing of what was trained, or begun, before.
    """
    if isinstance(value, dict):
        return {key: chosen(item) for key, item in value.items() if item}
    return [chosen(item) for item in value] if isinstance(value, list | tuple) else value
