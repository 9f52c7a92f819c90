"""Those outside who move money. Every request carries a key of ours: the same key acts once.

An answer that is lost, late or makes no sense is the verdict `unknown`; only what the processor
says itself is taken as decided.
"""
