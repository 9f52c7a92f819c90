"""Admin: the back office, where staff work.

Owns     nothing; what it must remember of a browser is sealed in that browser's cookie
Says     nothing
Hears    nothing
Asks     the gateway, for the published API, in the name of whoever works
Answers  /admin and what lies below it
"""
