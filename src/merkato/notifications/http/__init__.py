"""The HTTP face of notifications, by what it is about."""

from merkato.notifications.http.bounces import ROUTES as BOUNCES
from merkato.notifications.http.messages import ROUTES as MESSAGES
from merkato.notifications.http.people import ROUTES as PEOPLE
from merkato.notifications.http.preferences import ROUTES as PREFERENCES
from merkato.notifications.http.sending import ROUTES as SENDING
from merkato.notifications.http.texts import ROUTES as TEXTS

ROUTES = (*MESSAGES, *SENDING, *BOUNCES, *PREFERENCES, *TEXTS, *PEOPLE)
