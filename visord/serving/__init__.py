"""What clients, operators and those who watch over a node get from it. Sockets at the edge, conversations behind them.

conversation  one client's conversation, bytes in and bytes out: start here
replies       what it says; `waits`: its requests that wait
packed_pages  lists as bytes, for as long as nothing in them changes
passwords     computed beside the loop
backend       what it may ask of the node behind it
greeting      what a client says of itself first
listener      sockets for conversations
door, places  who may be connected
turns, shares what all of them share: the loop's time, and what they make the node hold
admin         what operators ask
health        alarms, and whether the node lives and is ready
metrics, web  the same, and figures, over HTTP
notify        the same for systemd
"""
