"""Every touch of pysyncobj's private names, in one package.

    state        what a node knows            elections    pre-vote, votes, transfer of leadership
    membership   the configuration            leading      entries and rounds to members, their answers
    following    the leader's entries         node         tick, commit, apply, and all of it put together
    stubs        what must not run            timing       seconds and dice
    member_node  a member, as pysyncobj sees it


pysyncobj runs the consensus: who gets its vote, who has won, how logs are matched, what an acknowledgement moves. What
is replaced, and why:

- **Its tick.** The stock one counts the leader's own entries towards commit before they are on disk, slices
  the log an entry at a time, polls sockets and pipes, and compacts with pickle and fork. Ours elects,
  commits what a majority has *durably*, applies and sends.
- **Its handling of appends** (`_receive_append` and what it uses): stock pysyncobj loses acknowledged
  writes when more than one message is in flight, because the leader sends again what is on its way and the
  replica truncates although nothing conflicts; and a replica commits entries that the message did not vouch
  for.
- **Everything that pickles** or runs what a peer sent.

Each engine gets its own copy of pysyncobj's module, with our clock, randomness and journal under the
module's names: nothing is patched for others in the process, and a simulation can give each node its own
clock. Private methods are called through `self` by pysyncobj itself, so a class before `SyncObj` in the
order of resolution overrides the mangled names. `FINGERPRINTS` in the tests fail when a release changes a
method that is overridden or copied here.
"""

from __future__ import annotations

from visord.raft.core.node import Core, build
from visord.raft.core.timing import Random, Timing

__all__ = ["Core", "Random", "Timing", "build"]
