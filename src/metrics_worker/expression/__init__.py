"""What a metric is: the grammar of expressions, and their evaluation over series."""
