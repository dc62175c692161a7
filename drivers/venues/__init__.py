"""Trading venues: what they ask of orders."""
