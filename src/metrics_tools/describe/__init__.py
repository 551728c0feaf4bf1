"""Descriptions of expressions for people: as a formula, in words, and as a tree with counts."""
