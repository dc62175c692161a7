"""What a run learned of its own record: read, explained, and written as a machine spec that holds it or takes it back."""
