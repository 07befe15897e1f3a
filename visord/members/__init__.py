"""What a node has to do with the other members of its cluster, beyond Raft itself (`visord.raft`).

joining       how a node comes to its cluster
actions       what can be asked of a cluster, and with which arguments
standing      who may say what to this node
proof         who votes, by the word of those who vote
conduct       what members say that they should not
cluster       who belongs to it, and the actions that change that
farewell      telling a member that it was removed
dismissal     being told that
forwarding    writes on their way to the leader
reads         linearizable reads at any node
passing       other questions that only the leader can answer
catchup       taking over the leader's checkpoint
hashing       comparing the states of all members
divergence    what a node remembers when its own was wrong
"""
