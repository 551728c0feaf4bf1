"""Expressions, which define metrics: grammar, evaluation over series, and the memory of an evaluation."""
