"""The figures that the README quotes, and the peers they are compared with. `make bench` runs them all."""
