"""What every event is: an immutable record of something that has happened."""

from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")

PERSONAL = msgspec.Meta(extra={"privacy": "personal"})  # about a person: erased on request
SECRET = msgspec.Meta(extra={"privacy": "secret"})  # a token: blanked once it was used
Personal = Annotated[T, PERSONAL]
Confidential = Annotated[T, SECRET]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events.

    A subclass sets `type`, ``<service>.<what_happened>.v<N>``. A new field needs a default; any
    other change is a new class with the next N, said beside the old one. Nothing is shown outside
    unless `public` names it.
    """

    type: ClassVar[str]
    public: ClassVar[tuple[str, ...]] = ()  # fields that logs, webhooks and partners may see
    last_value: ClassVar[bool] = False  # only the newest per key counts; it carries a `version`
    urgent: ClassVar[bool] = False  # heard although earlier events of its key are set aside

    @property
    def key(self) -> str:
        """What this event is about, an id; events with one key are heard in the order said."""
        raise NotImplementedError

    @classmethod
    def hidden_fields(cls) -> frozenset[str]:
        """Name the fields typed Personal or Confidential."""
        return hidden_fields(cls)


def hidden_fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Name the fields of a struct that are typed Personal or Confidential."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name, hint in hints.items() if _is_hidden(hint))


def _is_hidden(hint: Any) -> bool:
    if get_origin(hint) is not Annotated:
        return False
    marks = get_args(hint)[1:]
    return any(isinstance(m, msgspec.Meta) and (m.extra or {}).get("privacy") for m in marks)
