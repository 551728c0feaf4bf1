"""Commands for the operators of a deployment: sending dead letters back to the request queue."""
