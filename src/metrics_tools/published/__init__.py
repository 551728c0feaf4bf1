"""Published metrics: their versions, the pointer `current`, and faults in either."""
