"""`metrics`, the command line of those who write metrics. Never deployed.

`app` lists the commands, each of which has a room of its own name. What they print for machines (`--json`) is
a contract: fields may be added.
"""
