"""Values that are taken out of history: on every member, in memory and on disk."""
