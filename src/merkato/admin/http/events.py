"""The log of events: topics, the log itself, and its end as it grows."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.response import Stream

from merkato.admin.http.pages import Pages
from merkato.chassis.http import ANYONE
from merkato.chassis.visit import segment
from merkato.chassis.web import Visit

EVENTS, TOPICS = "/api/v1/events", "/api/v1/topics"
ON_PAGE = 50
LATELY = timedelta(minutes=15)
READ_MAX = 5  # pages of 1,000 that are read to find the newest events

HTTPRequest = Request[Any, Any, Any]


async def _topics(visit: Visit) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await visit.api.get(TOPICS))["items"]
    return found


@get("/admin/t/topics", policy=ANYONE)
async def show_topics(visit: Visit, pages: Pages) -> Response[str]:
    """List topics, by who says them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in await _topics(visit):
        found.setdefault(one["says"] or "others", []).append(one)
    return pages.draw(visit, "topics.html", topics=found)


@get("/admin/topics/{name:str}", policy=ANYONE)
async def show_topic(name: str, visit: Visit, pages: Pages) -> Response[str]:
    """Show a topic with its schemas and samples."""
    topic = await visit.api.get(f"{TOPICS}/{segment(name)}")
    return pages.draw(visit, "topic.html", topic=topic)


@get("/admin/t/events", policy=ANYONE)
async def show_events(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show a page of the log, oldest first, as it is kept."""
    names = ("topic", "key", "since")
    asked = {name: str(request.query_params.get(name, "")).strip() for name in names}
    query = {name: value for name, value in asked.items() if value}
    if "since" in query:
        query["since"] = f"{query['since']}T00:00:00Z"
    after = request.query_params.get("after")
    found, topics = await asyncio.gather(
        visit.api.get(EVENTS, limit=ON_PAGE, after=after, **query), _topics(visit)
    )
    kept = [(name, value) for name, value in asked.items() if value]
    more = found["next_cursor"]
    here = "/admin/t/events?"
    return pages.draw(
        visit, "events.html", events=found["items"], asked=asked, first=after is None,
        here=here + urlencode(kept), topics=[one["name"] for one in topics],
        more=here + urlencode([*kept, ("after", more)]) if more else None,
    )  # fmt: skip


@get("/admin/t/live", policy=ANYONE)
async def show_live(request: HTTPRequest, visit: Visit, pages: Pages) -> Response[str]:
    """Show the newest events; a script adds those that come, without one the page reloads."""
    topic = str(request.query_params.get("topic", ""))
    topics, events = await asyncio.gather(_topics(visit), _newest(visit, topic))
    after = events[0]["cursor"] if events else ""
    asked = [(name, value) for name, value in (("topic", topic), ("after", after)) if value]
    kinds = [version["type"] for one in topics for version in one["versions"]]
    return pages.draw(
        visit, "live.html", events=events, topic=topic, topics=[one["name"] for one in topics],
        stream=f"/admin/live/stream?{urlencode(asked)}", kinds=" ".join(kinds),
    )  # fmt: skip


async def _newest(visit: Visit, topic: str) -> list[dict[str, Any]]:
    """Give the newest events of the last minutes, newest first."""
    since = (datetime.now(UTC) - LATELY).isoformat()
    query: dict[str, Any] = {"topic": topic or None, "limit": 1_000, "since": since}
    events: list[dict[str, Any]] = []
    for _ in range(READ_MAX):
        page = await visit.api.get(EVENTS, **query)
        events += page["items"]
        if not page["next_cursor"]:
            break
        query = {"topic": topic or None, "limit": 1_000, "after": page["next_cursor"]}
    return events[-ON_PAGE:][::-1]


@get("/admin/live/stream", policy=ANYONE)
async def stream(request: HTTPRequest, visit: Visit) -> Stream:
    """Pass the log's stream on, from where the browser was."""
    begin = request.headers.get("last-event-id") or request.query_params.get("after")
    topic = request.query_params.get("topic")
    asked = [(name, value) for name, value in (("topic", topic), ("after", begin)) if value]
    _, parts = await visit.api.download(f"{EVENTS}/stream?{urlencode(asked)}")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(parts, media_type="text/event-stream", headers=headers)


ROUTES = (show_topics, show_topic, show_events, show_live, stream)
