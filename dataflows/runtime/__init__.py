"""How kernels and step layers are compiled, and where step layers get their rows from."""
