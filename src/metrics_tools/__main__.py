"""`python -m metrics_tools`: the same as `metrics`."""

from metrics_tools.command_line.app import main

main()
