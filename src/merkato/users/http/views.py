"""Routes of saved views: filters of lists under names, in every browser of whoever saved them."""

from typing import Annotated

import msgspec
from litestar import delete, get, put
from litestar.params import Parameter

from merkato.chassis.db import Database
from merkato.chassis.http import USER, Page
from merkato.chassis.tokens import Caller
from merkato.contracts.problem import Validation
from merkato.users.actions import views as actions
from merkato.users.http.me import own, own_id
from merkato.users.store import views as store
from merkato.users.store.views import SavedView

VIEWS = "/api/v1/me/views"
VIEWS_OF = f"{VIEWS}/{{of:str}}"
ListName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z-]{0,31}\Z")]
# Visible, and neither begun nor ended by a space: people see what a view is called.
VISIBLE_NAME = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?\Z"
ViewName = Annotated[str, msgspec.Meta(max_length=60, pattern=VISIBLE_NAME)]
Query = Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^[!-~]*\Z")]


class PutView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PUT /me/views/{of}``: what the view is called, and its filter as a query."""

    name: ViewName
    query: Query


@get(VIEWS, policy=USER)
async def list_views(caller: Caller, db: Database) -> Page[SavedView]:
    """List the caller's saved views, by list and name; at most a hundred."""
    async with db.reading() as tx:
        account = await own(tx, caller)
        return Page(items=await store.every(tx, account.id))


@put(VIEWS_OF, policy=USER, status_code=204)
async def put_view(of: str, data: PutView, caller: Caller, db: Database) -> None:
    """Keep a view of a list under a name, in the place of one with that name."""
    try:
        msgspec.convert(of, ListName)
    except msgspec.ValidationError as error:
        raise Validation.at("/of", "A list is named by small letters.") from error
    async with db.transaction() as tx:
        await actions.put(tx, own_id(caller), of, data.name, data.query)


@delete(VIEWS_OF, policy=USER, status_code=204)
async def delete_view(
    of: str, name: Annotated[str, Parameter(max_length=60)], caller: Caller, db: Database
) -> None:
    """Forget a view. Harmless to repeat."""
    async with db.transaction() as tx:
        await actions.delete(tx, own_id(caller), of, name)


ROUTES = (list_views, put_view, delete_view)
