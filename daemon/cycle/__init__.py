"""The cycle: detect, load, merge, apply, confirm. Start reading at ``run.cycle``.

run         one cycle in a straight line, and its repetition
opening     logins and collections             detect       what changed since the cursor, into the sync table
survey      changed ECS items without a link: which of them want one?
stamped     a newcomer's partner by its own link stamp ...
newcomers   ... or by a match ...              candidates   ... among these
linking     note that two are one, or hold it  births       make the partner that is missing, and stamp the link
echo        our own writes coming back, dropped
load        both native items of linked pairs, and what was seen of them
recover     writes whose answer was lost       dating       when contested items were changed
linked      merge, write, confirm              confirm      snapshot, history, conflict log
notes       what a batch writes down, a statement a table
barred      what a missing right keeps back: parked
fates       created again, forgotten, left     removals     deletes and unlinks, guarded
apply       intents, batches, outcomes         stamps       identities that survive a loss of our state
"""
