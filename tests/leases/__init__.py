"""Leases in the machine, on the leader's clock, and at a node."""
