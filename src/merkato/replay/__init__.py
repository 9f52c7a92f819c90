"""Replay of a file of real invoice lines, as orders of a running shop.

Pure: rows → kinds → plan (sales, what is taken back, prices). `files` reads, `shop` speaks HTTP,
`shelves` and `running` work the plan off, `report` compares it with what the shop says.
docs/replay.md has the rules.
"""
