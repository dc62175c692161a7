"""A stream as it goes on, on a page, as metrics and as notices: in a process of its own, by the stream's journal."""
