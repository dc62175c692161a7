"""The L0-L100 graph as data, cut to what one wants to see of it, and drawn."""
