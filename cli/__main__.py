"""`python -m cli`: the same as `metrics`."""

from cli.app import main

main()
