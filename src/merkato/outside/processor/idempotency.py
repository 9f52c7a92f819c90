"""One answer for each Idempotency-Key, as https://docs.stripe.com/api/idempotent_requests says."""

import hashlib
import time
from collections.abc import Callable

import msgspec

from merkato.outside.asgi import Answer, Call, json
from merkato.outside.database import Database
from merkato.outside.processor import store
from merkato.outside.processor.cards import Fault
from merkato.outside.processor.domain import Refused
from merkato.outside.processor.switch import lost, misfortune

KEPT_S = 86_400  # how long an answer is kept
KEY_MAX = 255  # characters


class Idempotency:
    """The keys under work now, in memory, and the answers given, in the file."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._running: set[str] = set()

    async def once(
        self, call: Call, form: dict[str, str], fault: Fault, work: Callable[[], object]
    ) -> Answer:
        """Do `work` once for the call's key, with what the fault brings before and after.

        `work` does not wait, so that what it writes and the answer are one transaction; what it
        gives is answered as JSON. A Refused that it raises is an answer like any other, and kept.
        The same key and parameters get the stored answer; other parameters raise Refused (400), a
        key still under work Refused (409). What goes wrong before the work is not kept.
        """
        key = call.headers.get("idempotency-key", "")
        mark = hashlib.sha256(msgspec.json.encode([call.url, sorted(form.items())])).digest()
        if key and (kept := self._kept(key, mark)):
            return kept
        if key:
            self._running.add(key)
        try:
            # a request that is forgotten never arrived: it must not hold its key
            if fault.before == "hang":
                self._running.discard(key)
            answer = await misfortune(fault, call)
            if answer is not None:
                return answer
            try:
                answer = json(work())
            except Refused as refused:
                answer = json(refused.content, refused.status)
            if key:
                now = int(time.time())
                store.insert_answer(self._db, key, mark, answer.status, answer.body, now)
        finally:
            self._running.discard(key)
        if fault.after:
            await self._db.committed()
            if fault.after == "hang":
                await call.gone()
            return lost()
        return answer

    def _kept(self, key: str, mark: bytes) -> Answer | None:
        if len(key) > KEY_MAX:
            raise Refused(400, "idempotency_error", f"Keys have at most {KEY_MAX} characters.")
        if key in self._running:
            raise Refused(
                409,
                "idempotency_error",
                "There is currently another in-progress request using this Idempotency-Key.",
                code="idempotency_key_in_use",
            )
        kept = store.answer(self._db, key, int(time.time()) - KEPT_S)
        if kept is None:
            return None
        if kept[0] != mark:
            raise Refused(
                400,
                "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}'.",
            )
        replay = (b"idempotent-replayed", b"true")
        return Answer(kept[1], kept[2], headers=(replay,))
