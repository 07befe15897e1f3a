"""Who may do what: pure, and the same on every member.

    message --needs--> grants, leases --judge, by rights--> nothing, or a Refusal that names what is missing

One choke point: `needs.needs` derives from the very message that will be executed what it needs, for every verb there
is; a verb without a row is refused. What a principal may do is a union of grants (`rights.Rights`): nothing without a
grant, no denials, no order among them. A request that goes beyond the grants is refused, never filtered.

auth_store   roles, users, tokens: the replicated state, and each change of it
join_table   tokens that let a machine become a member, which are part of it
grant        one right (read, write, history, admin) on one selector (a path, a tree or a glob)
rights       what somebody may do: the union of grants, ready for quick answers
coverage     whether globs cover what is asked, exactly
effort       how much judging may cost
needs        what a message needs
judge        the verdict on one message
principal    whose a write, a session or a lease is
told         what can be asked of all this: whoami, can, the lists
"""
