"""The figures of docs/figures.md, and the peers they are compared with. `make bench` runs them all."""
