"""What an expression means and what a run did, for people: words, counts at each node, pictures.

Shared by the command line (`cli/`) and the local run (`local/`), and never deployed. It knows the worker's
rooms, and neither of those two.
"""
