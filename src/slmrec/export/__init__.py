"""A trained model as a bundle that answers without torch (`slmrec.runtime`)."""

from slmrec.export.bundle import export_bundle

__all__ = ["export_bundle"]
