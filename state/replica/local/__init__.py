"""The local tables of an upstream CRM: everything that a person needs of it, readable and writable without a network.

Theory of operation. Each object has a group of tables, shaped by its describe:

    main       what a person sees: rows of the upstream, with the local changes in them, and rows made here
    orig       the row as the upstream had it before the first local change; of deleted rows, too
    synced     what the last pull brought and main does not have yet
    todelete   ids of which the upstream says that they are deleted
    tosync     which fields were changed here, when, and what keeps them from the upstream

All of them share the createlist (creates, and conversions of leads) and the deletelist, in the order of the person's
work, and four tables that last: the schemas, the properties (where a pass stands, since when the next one asks), the
aliases (a temporary id still means its record after the upstream has given the real one) and the conflict log.

What happens to a row with local changes is one operation, however it comes about: the three-way *difference* of main,
orig and synced. What it settles is rebased: main becomes what a person shall see, orig what the upstream has now, and
what differs between the two is what has to be sent. What waits for a person (a conflict that is held, a write that the
upstream refused) keeps its rows, and every decision on it is a rebase again: nothing is ever forced upon the upstream.

shape        an object from its describe; rows from JSON and back
temporary    ids for what the upstream does not know yet
tables       the tables
database     the file, its transactions, the schemas
migrate      tables in place after a change of the schema upstream
difference   three rows, field by field (pure)
rows         one transaction's view of the tables
edits        what a person does: create, update, delete
arrivals     what a pull brings: stage it, settle it, move it to main
confirmed    what the upstream has of all that, to read
veil         a lead that main shows as converted, and what lies under that (pure)
conversions  leads that are converted here
births       a temporary id becomes a real one
deciding     conflicts and refusals: choose, retry, abandon
"""
