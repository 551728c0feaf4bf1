"""For those who run the worker: tools that work on a deployment from outside. Never deployed."""
