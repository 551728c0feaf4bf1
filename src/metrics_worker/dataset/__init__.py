"""Input datasets: parsing manifests, choosing part files, and reading part files as series."""
