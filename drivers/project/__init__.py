"""A project's files: where they are, what they say, and what is wrong with them."""
