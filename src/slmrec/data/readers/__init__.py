"""Readers of interaction data, one module a format."""

from slmrec.data.readers.detect import FORMATS, read_source

__all__ = ["FORMATS", "read_source"]
