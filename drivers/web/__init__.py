"""Self-contained HTML pages: one look, one way to render, nothing fetched when they are opened."""
