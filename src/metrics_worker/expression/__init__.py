"""Expressions, which define metrics: their grammar, their evaluation over series, and its memory cost."""
