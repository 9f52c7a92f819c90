"""The rules of categories: a tree without cycles."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec

from merkato.catalog.domain.words import Body, Texts, Words

DEPTH_MAX = 20  # of the tree

Position = Annotated[int, msgspec.Meta(ge=-(10**6), le=10**6)]


class NewCategory(Body, frozen=True, kw_only=True):
    """A category below another, or at the top; among its siblings in order of `position`."""

    parent_id: UUID | None = None
    position: Position = 0
    texts: Texts


class CategoryPatch(Body, frozen=True, kw_only=True):
    """What shall be different; what is left out stays."""

    parent_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    position: Position | msgspec.UnsetType = msgspec.UNSET
    texts: Texts | msgspec.UnsetType = msgspec.UNSET


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A category as it is kept."""

    id: UUID
    parent_id: UUID | None
    position: int
    version: int
    texts: dict[str, Words]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A category in the words of one locale, without what is below it."""

    id: UUID
    parent_id: UUID | None
    slug: str
    title: str


class Branch(Node, frozen=True, kw_only=True):
    """A category and all that is below it."""

    children: list["Branch"]


def tree(nodes: Sequence[Node]) -> list[Branch]:
    """Hang nodes below their parents, siblings in the order given."""
    below: dict[UUID | None, list[Node]] = defaultdict(list)
    for node in nodes:
        below[node.parent_id].append(node)

    def branches(parent_id: UUID | None) -> list[Branch]:
        return [
            Branch(
                id=node.id, parent_id=parent_id, slug=node.slug, title=node.title,
                children=branches(node.id),
            )
            for node in below[parent_id]
        ]  # fmt: skip

    return branches(None)
