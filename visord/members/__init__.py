"""What a node has to do with the other members of its cluster, beyond Raft itself (`visord.raft`).

inbox          who hears what members say
joining        how a node comes to its cluster
strangers      what it answers those that come
names          what members are called
actions        what can be asked of a cluster, and with which arguments
gate           who may connect, and what follows from a change of the members
contacts       which addresses this node dials
standing       who may say what to this node
proof          who votes, by the word of those who vote
conduct        what members say that they should not
membership     who belongs to it, and the actions that change that
removal        telling a member that it was removed
dismissal      being told that
step_down      handing leadership on when there is no space
forwarding     writes on their way to the leader
read_index     linearizable reads at any node
leader_calls   questions that only the leader can answer: one way to ask them
install        taking over the leader's checkpoint
replica_check  comparing the states of all members
divergence     what a node remembers when its own was wrong
"""
