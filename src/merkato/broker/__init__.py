"""Broker: the door for other people's systems. A log of all public events, and topics of theirs.

Owns     log (a partition a day), log_head, topics, published
Says     EventPublished (a CloudEvent of somebody else), SubscriptionDisabled, DeadLetterAppeared
Hears    every event that shows something outside, and EventPublished
Asks     nobody
Answers  /api/v1/topics, /api/v1/events
"""
