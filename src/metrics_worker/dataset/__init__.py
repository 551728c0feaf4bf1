"""Input datasets: their manifests, the choice of part files, and the reading of part files as series."""
