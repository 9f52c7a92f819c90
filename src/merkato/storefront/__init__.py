"""Storefront: the pages where customers buy.

Owns     nothing; what it must remember of a browser is sealed in that browser's cookie
Says     nothing
Hears    nothing
Asks     the gateway, for the published API, in the name of whoever looks
Answers  / and what lies below it, but for /api, /admin and the gateway's own pages
"""
