"""Pages that tell what was run and what it found: one HTML file each, nothing beside it needed."""
