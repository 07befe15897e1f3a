"""Consensus: one member's engine on pysyncobj, and the durable log below it.

`engine` is what a node uses; `core` holds every touch of pysyncobj; `log` is the journal, with `records`
(bytes), `segments` (files), `recovery` (reading back), `durable_mark` and `vote` under it; `inspection` looks at a
log from outside.

**What one turn of the loop does.** Four things reach the engine: a message of a member (`receive`), the end of a sync
(`log.on_durable`), the node's timer and a proposal (`propose`). A message is taken first: entries go to the log in
memory, and what needs no further disk is answered at once (VOTED, PREVOTED, ROUNDED, a POSITION that says no). A
proposal only appends, and starts a sync. All others go on with `Engine.tick`, which repeats these steps as long as they
apply an entry or find more of them durable:

    1 acknowledge   a follower sends POSITION for what its disk has by now
    2 elect         not the leader, and its time is over: ask PREVOTE; stand (VOTE) when a majority would grant it
    3 commit        the leader moves the commit index to what a majority has on disk, itself among them or not
    4 step down     a leader that a majority has not answered for `quorum_timeout` leads no more
    5 apply         each committed entry once, in order: `on_apply` changes the state and answers what waits here
    6 lead          go on with a transfer; once a `heartbeat`, have all members sent something; ask late rounds again;
                    a node that leads no more tells the reads that wait for a round that they get none
    7 flush         hand what was appended to the disk, as one frame, unless a sync is under way: its end does that

Then `on_leadership` is told if leader or term changed. What there is to tell members (entries, the commit index, one
ROUND for all reads that wait) is sent by `Leading.flush`, which `soon` runs once when the callbacks of this turn have
run, however many of them wanted it.

*What is on disk before what.*

- Term and vote: before any message tells of them (`vote`). `setCurrentTerm` returns when both copies are synced: the
  only sync that the loop waits for, and there is one only when the term changes or a vote is given.
- A follower's entries: before the POSITION that acknowledges them. Until then the acknowledgement is held (step 1), and
  a heartbeat that comes meanwhile is answered with what *is* durable.
- A leader's entries: it sends them at the end of the turn while its own disk still writes, so both take place at once.
  But it counts itself towards a majority only up to `log.durable_index` (step 3), and commits by counting only what is
  of its own term (Raft, 5.4.2); everything before is committed with that.
- The commit index: never. After a start it is where the checkpoint ends; a leader tells it again, or finds it again.
- A checkpoint that came from the leader: before `Engine.installed`, which lets the log go on from there.

*When something is applied.* As soon as it is committed as far as this node knows, which may be before its own disk has
the entry: a majority's disks have. A follower believes a message's commit index only up to the last entry that this
very message vouches for. Before a leader applies an entry that takes long (`applies_long`) it sends its commit index at
once, not at the end of the turn, so that all members apply it at the same time. While a checkpoint is installed
nothing is applied (`paused`).

*What is answered when.* A write: in step 5, where it was submitted, with the outcome of that node's own apply; then
the next command may start, with all that came meanwhile. A read that has to be current: when a round that began after
the read came has a majority, and the commit index of the round's beginning is applied. What these callbacks do may come
back to the engine: a `tick` within `on_apply` does nothing, as the one under way goes on behind it.

*What may be repeated.*

- APPEND: what is sent counts as sent until the connection breaks or the member asks otherwise; then it is sent again. A
  follower skips the entries that it has, and removes a suffix only where terms conflict.
- POSITION: the first of several that ask to go back counts; the others answer earlier messages (`barrier`).
- PREVOTE and VOTE: a grant counts once a member. A vote is stored, so that a restart does not give another one.
- ROUND: a late one is asked of all voters; an answer to a later round answers the earlier ones, too.
- INSTALL: once a heartbeat, until the member tells that it stands elsewhere.
- A proposal: not by this package. Its index and term tell what became of it: another term at that index means that it
  was never committed. A client repeats a write under its session, which makes it happen once (`state/sessions`).
- Applying: not in one life of a process, as the index moves before `on_apply` is called. After a restart the entries
  behind the checkpoint are applied to the state at the checkpoint, with the same outcomes, for which nobody waits.

*When something fails.* What `on_apply` or `read` raises, and every failure of the disk but want of space, stops the
engine for good (`failure`): a node that cannot read an entry, or does not know what its disk holds, must neither vote
nor acknowledge. An unreadable entry of any member but the leader that this node follows is refused instead.
"""
