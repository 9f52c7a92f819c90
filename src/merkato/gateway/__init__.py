"""Gateway: the one address of the shop.

Owns     counts of requests, in memory
Says     nothing
Hears    nothing
Asks     every service, by forwarding
Answers  /ping, /livez, /readyz, /metrics, /problems/<slug>, /openapi.json;
         everything else goes to its service
"""
