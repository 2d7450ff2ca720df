"""The report of a run: one self-contained page from the files of its folder."""

from slmrec.report.examples import examples
from slmrec.report.page import write_report

__all__ = ["examples", "write_report"]
