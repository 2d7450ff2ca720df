"""The report of a run: one self-contained page from the files of its folder."""

from slmrec.report.page import write_report

__all__ = ["write_report"]
