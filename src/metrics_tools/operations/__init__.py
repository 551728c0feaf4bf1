"""Tools for the operators of a deployment."""
