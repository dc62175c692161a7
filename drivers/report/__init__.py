"""What is made for people out of the system and its results."""
