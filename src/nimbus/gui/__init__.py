"""Pages for people: merge and name metaclusters in a notebook or a browser."""
