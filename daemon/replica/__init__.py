"""The pass that brings a replica and its upstream CRM in step: see `run.py`, which reads from top to bottom.

upstream   what a pass asks of the CRM
window     which stretch of time a pass looks at, and its waves (pure)
context    what the stages share, and the words of its progress
pull       describe, deletes, modified rows, server deletes
push       local deletes, updates
queue      which creates and conversions go out next, together
births     creates, in the order in which they were made
converting conversions of leads, in their turn among them
run        one pass; passes until nothing changes
replica    the whole: passes, and what a person does

In the service:

keeper     one CRM login's: its file, who may be at it, modes, whether the CRM is there
modes      online, hybrid, offline, auto (pure)        through    what does not wait for a pass
stages     where a pass is                             standing   its light and numbers
narrow     of an object only some fields (pure)        upkeep     check; what the log must not keep
replicas   what can be asked of all of them            texts      FIELD=VALUE, as a person types it
rounds     what the service does when it is their turn
"""
