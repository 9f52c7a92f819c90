"""The routes of users, by who calls them."""

from merkato.users.http import (
    auth,
    export,
    invitations,
    keys,
    me,
    roles,
    security,
    staff,
    trail,
    views,
)

ROUTES = (
    *auth.ROUTES,
    *me.ROUTES,
    *export.ROUTES,
    *staff.ROUTES,
    *keys.ROUTES,
    *invitations.ROUTES,
    *trail.ROUTES,
    *roles.ROUTES,
    *security.ROUTES,
    *views.ROUTES,
)
