"""Broker: the door for other people's systems: a log of all public events, topics, webhooks.

Owns     log (a partition a day), log_head, topics, published, subscriptions, deliveries, attempts,
         letters_noticed
Says     EventPublished (a CloudEvent of somebody else), SubscriptionDisabled, DeadLetterAppeared
Hears    every event that shows something outside, and EventPublished
Asks     every service for its dead letters; endpoints of webhooks, in a job
Answers  /api/v1/topics, /api/v1/events, /api/v1/subscriptions, /api/v1/deliveries,
         /api/v1/dead-letters
"""
