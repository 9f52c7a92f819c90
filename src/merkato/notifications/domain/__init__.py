"""Which fact is told to whom in which words, and what people want to hear of. Pure.

queued --taken by the mail server or gateway--> sent
queued --refused for good, too old, not wanted, erased--> failed
sent, failed --staff asks--> queued
"""
