"""The reference connector: a server in memory, with every behaviour and misbehaviour that real ones have shown.

traits      what kind of server it plays: what it holds, rewrites, promises
native      one item as the server stores it
server      the server itself, and what a person does on it
faults      what shall go wrong, and when
connector   the contract (read this first if you are writing a connector)
"""
