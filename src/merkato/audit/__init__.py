"""The laws of docs/laws.md, checked from outside over all databases, by roles that only read.

Owns     nothing
Asks     every service's database (one read-only snapshot each), the stand-in processor's ledger
"""

from merkato.audit.result import Offence, Result
from merkato.audit.run import audit, watch

__all__ = ["Offence", "Result", "audit", "watch"]
