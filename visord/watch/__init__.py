"""Watches: who wants to see which commits, and the bytes that are sent to them. Pure: no loop, no clock.

hub           subscriptions, their states, and what one turn of the loop delivers: start here
subscription  one watch of one reader, and the groups of live ones that get the same bytes
live          new commits to the groups that want them, in slices
index         from a path to the live groups that select it
load          what the globs of watches can cost a changed path
stabbing      from a path to the ranges around it
history       what a watch that is behind reads next
recent        what was just read of history, for others at the same place
messages      commits and files to protocol bytes, each encoded once
partial       how far a commit was read that takes more than one slice
large, sizes  commits that are more than a frame: measured, then put together
pump          drives the hub in turns of the loop
"""
