"""The deciding part: pure functions from what stands on both sides to what shall be written. No I/O, no clock.

normalise   when two values say the same
terms       the words of the merge
merge       one linked item, column by column
match       an item that is new on one side: who is its partner?
reconcile   whole items: created, gone, hidden, untagged
guard       how many deletes are too many
"""
