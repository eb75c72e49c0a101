"""The cycle: detect, load, merge, apply, confirm. Start reading at ``run.cycle``.

run         one cycle in a straight line, and its repetition
detect      what changed since the cursor, into the sync table
survey      changed ECS items without a link: which of them want one?
newcomers   find a newcomer's partner ...      candidates   ... among these
births      ... or make it, and stamp the link
load        both native items of linked pairs, and what was seen of them
linked      merge, write, confirm              confirm      snapshot, history, conflict log
fates       created again, forgotten, left     removals     deletes and unlinks, guarded
apply       intents, batches, outcomes         stamps       identities that survive a loss of our state
"""
