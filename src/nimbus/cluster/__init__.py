"""Self-organising maps, metaclusters and their editing, on plain arrays."""
