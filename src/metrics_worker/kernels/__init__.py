"""Window functions on float64 arrays. They do not depend on times, JSON or errors."""
