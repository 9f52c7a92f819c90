"""The rules of payments: each takes a payment and gives the payment after it and what to say."""
