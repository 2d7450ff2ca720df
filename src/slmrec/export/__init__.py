"""A trained model as a bundle that answers without torch (`slmrec.runtime`)."""

from slmrec.export.bundle import export_bundle
from slmrec.export.web import export_web

__all__ = ["export_bundle", "export_web"]
