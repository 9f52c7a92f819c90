"""Merkato: a shop that never oversells, never charges twice and never loses an order."""

__version__ = "0.1.0"
