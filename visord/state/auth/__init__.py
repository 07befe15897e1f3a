"""Who may do what: pure, and the same on every member.

    message --needs--> [Need(right, selector), ...] --allowed(rights, needs)--> nothing, or what is missing

One choke point: `needs.needs` derives from the very message that will be executed what it needs, for every verb there
is; a verb without a row is refused. What a principal may do is a union of grants (`rights.Rights`): nothing without a
grant, no denials, no order among them. A request that goes beyond the grants is refused, never filtered.

grant      one right on one selector (a path, a tree or a glob)
right      read, write, history (past revs, logs and differences need it beside read), admin
role       a named set of grants; a principal has roles
needs      what a message needs
"""
