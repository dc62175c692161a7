"""Trading venues: what they ask of orders, and the port through which a run trades at one."""
