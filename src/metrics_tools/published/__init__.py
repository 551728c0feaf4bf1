"""Published metrics: reading versions and `current`, checking them for faults, and rolling back."""
