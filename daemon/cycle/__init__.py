"""The cycle: detect, load, merge, apply, confirm. Start reading at ``run.cycle``.

run         one cycle in a straight line, and its repetition
opening     logins and collections             detect       what changed on the ECS side since the cursor ...
poll        ... and in the CRM, for all accounts of a login
survey      changed ECS items without a link: which of them want one?
stamped     a newcomer's partner by its own link stamp ...
shared      ... or as another account has linked it, and what others made again
delegation  what is in another's collection ... owners      ... is left to that one's account
newcomers   ... or by a match ...              candidates   ... among these
former      ... that is linked still, or was   claims       whose a new record may be
linking     note that two are one, or hold it  births       make the partner that is missing ...
stamping    ... and write the link onto its item, beside what follows
commons     what another account has fetched of the very same
echo        our own writes coming back: dropped
load        both native items of linked pairs  dating       when contested ones were changed
glances     ... without what never changes     strangers    who is named in it, and known later
recover     writes whose answer was lost       doubt        our own state is older than what we wrote
linked      what becomes of a pair: merge, write
meetings    ... whose word counts of a meeting, and who in it the CRM knows
fates       created again, forgotten, left     removals     deletes and unlinks, guarded
waiting     ... or stands in the CRM's copy until that is there again
unagreed    ... or stands in one half only
barred      what a missing right keeps back    apply        intents, batches, outcomes
confirm     what stands by then, written down  agreed       the snapshot, history and conflict log of it
notes       ... a statement a table            stamps       identities that survive a loss of our state
"""
