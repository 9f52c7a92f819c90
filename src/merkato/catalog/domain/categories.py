"""The rules of categories: a tree without cycles."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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


class Known:
    """All categories as of one version of the tree, in the order of their titles."""

    def __init__(self, version: int, nodes: Sequence[Node]) -> None:
        self.version = version
        self._nodes = nodes
        self._places = {str(node.id): place for place, node in enumerate(nodes)}
        self._ways = {name: self._way(name) for name in self._places}

    def _way(self, name: str) -> frozenset[int]:
        """Give the places of a category and of those above it."""
        way: set[int] = set()
        place = self._places.get(name)
        while place is not None and place not in way:
            way.add(place)
            place = self._places.get(str(self._nodes[place].parent_id))
        return frozenset(way)

    def counted(self, found: Iterable[tuple[Sequence[str], int]]) -> list[tuple[Node, int]]:
        """Count the products in each category or below it, most first.

        `found`: how many are in the same categories; who is in two below one counts there once.
        """
        counts: dict[int, int] = {}
        for names, count in found:
            ways = [self._ways.get(name, frozenset()) for name in names]
            for place in ways[0].union(*ways[1:]) if ways else ():
                counts[place] = counts.get(place, 0) + count
        order = sorted((-count, place) for place, count in counts.items())
        return [(self._nodes[place], -count) for count, place in order]
