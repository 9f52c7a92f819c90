"""What the shop says of itself: documents made from the routes and the contracts."""
