"""One module for each command of `metrics`. Commands do not import each other."""
