"""The policy: how much of the risk that the gate allows is taken, and which sources count more."""
