"""Messages between the members of a cluster: what they are, and how they travel."""
