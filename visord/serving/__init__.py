"""What clients, operators and those who watch over a node get from it. Sockets at the edge, conversations behind them.

conversation  one client's conversation, bytes in and bytes out: start here
greeting      what a client says of itself first
listener      sockets for conversations
admin         what operators ask
health        alarms, and whether the node lives and is ready
metrics, web  the same, and figures, over HTTP
notify        the same for systemd
"""
