"""Run the command `metrics`. `python -m metrics_tools` is another way to call it."""

from metrics_tools.command_line.app import main

main()
