"""How a service says no: problem details (RFC 9457), raised as exceptions."""

import re
from typing import Any, ClassVar

PLACE = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+|\.\.\.)\]")  # as msgspec writes one


class Problem(Exception):
    """An expected refusal. A subclass fixes slug, status and title; an instance says the detail.

    Anything that is not a Problem is a bug and is answered as 500 without its message. `members`
    are added to the answer as they are; `headers` go with it.
    """

    slug: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(
        self, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}
        self.members = members


class Malformed(Problem):
    """The request cannot be read at all."""

    slug, status, title = "malformed", 400, "Malformed request"


class KeyMissing(Problem):
    """This request moves money or stock and so needs an Idempotency-Key."""

    slug, status, title = "idempotency-key-missing", 400, "Idempotency-Key required"


class Unauthenticated(Problem):
    """Who is calling is unknown."""

    slug, status, title = "unauthenticated", 401, "Authentication required"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="merkato"'})


class Forbidden(Problem):
    """The caller is known and may not do this."""

    slug, status, title = "forbidden", 403, "Not allowed"


class NotFound(Problem):
    """There is no such thing, or it is somebody else's."""

    slug, status, title = "not-found", 404, "Not found"


class StateConflict(Problem):
    """The thing is in a state that does not allow this."""

    slug, status, title = "state-conflict", 409, "Not possible in this state"


class RequestInProgress(Problem):
    """The first request with this Idempotency-Key is still running."""

    slug, status, title = "request-in-progress", 409, "Request in progress"

    def __init__(self) -> None:
        super().__init__(
            "The first request with this key runs still.", headers={"Retry-After": "1"}
        )


class Gone(Problem):
    """It was there once and can be used no more."""

    slug, status, title = "gone", 410, "No longer available"


class PreconditionFailed(Problem):
    """If-Match names an older version."""

    slug, status, title = "precondition-failed", 412, "Changed meanwhile"


class Validation(Problem):
    """The request can be read but says something impossible. `errors`: pointer and detail each."""

    slug, status, title = "validation", 422, "Invalid request"

    @classmethod
    def at(cls, pointer: str, detail: str) -> "Validation":
        """Make the problem for one field; `pointer` is a JSON pointer (RFC 6901)."""
        return cls(detail, errors=[{"pointer": pointer, "detail": detail}])

    @classmethod
    def read(cls, message: str) -> "Validation":
        """Make the problem of what msgspec says of a body."""
        detail, _, place = message.partition(" - at `$")
        parts = (name or index for name, index in PLACE.findall(place.rstrip("`")))
        return cls.at("".join(f"/{part}" for part in parts), detail)


class UnknownProduct(Problem):
    """We do not sell it, or not in this currency."""

    slug, status, title = "unknown-product", 422, "Unknown product"


class KeyReused(Problem):
    """The Idempotency-Key belongs to another request."""

    slug, status, title = "idempotency-key-reused", 422, "Idempotency-Key was used before"


class PreconditionRequired(Problem):
    """If-Match is missing."""

    slug, status, title = "precondition-required", 428, "If-Match required"


class RateLimited(Problem):
    """Too many requests. Retry-After says when to come back."""

    slug, status, title = "rate-limited", 429, "Too many requests"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class Overloaded(Problem):
    """More work is waiting than we can do in time."""

    slug, status, title = "overloaded", 503, "Overloaded"

    def __init__(self, detail: str = "Too much is waiting; try again shortly.") -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class DependencyUnavailable(Problem):
    """Something this request needs does not answer."""

    slug, status, title = "dependency-unavailable", 503, "Temporarily unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "2"})


class UpstreamTimeout(Problem):
    """Something this request needs did not answer in time."""

    slug, status, title = "upstream-timeout", 504, "No answer in time"
