"""The import of observations from files into a dataset, for `metrics import`."""
