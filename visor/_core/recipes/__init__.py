"""Leases, and the queues of locks, semaphores and elections: what a client may believe of them."""
