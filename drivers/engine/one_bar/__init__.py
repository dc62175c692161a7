"""A single bar as one native call: what a stream pays, without a call from Python for each layer."""
