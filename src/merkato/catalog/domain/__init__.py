"""The rules of the catalogue, by noun."""
