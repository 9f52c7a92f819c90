"""What storefront asks of the published API, a function for each question."""
