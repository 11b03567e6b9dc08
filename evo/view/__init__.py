"""Pictures of a run: what one looks at, in a browser or a notebook."""
