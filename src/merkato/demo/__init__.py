"""The demo shop Mirabelle & Moss: its goods and pictures, and how they get into a running shop."""
