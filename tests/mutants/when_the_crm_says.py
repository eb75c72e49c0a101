"""Mistakes in what is exchanged only when the CRM says so, and in who may say so."""

from tests.mutants.planted import Planted

GRANTED = "tests/daemon/cycle/test_granted.py::test_"
REFUSED = "tests/daemon/adaptor/test_refused.py::test_"
EXCHANGE = "tests/daemon/adaptor/test_exchange.py::test_"

WHEN_THE_CRM_SAYS = (
    Planted(
        "what is withheld counts as agreed",
        "crmsync.daemon.cycle.confirm",
        "frozenset(failed).union(*self.withheld.values())",
        "frozenset(failed)",
        (f"{GRANTED}a_column_is_agreed_on_only_when_both_sides_hold_it", f"{GRANTED}to_the_crm_only"),
    ),
    Planted(
        "an item of which something is withheld is done with",
        "crmsync.daemon.cycle.confirm",
        "return self.sent(side) and not self.withheld.get(side)",
        "return self.sent(side)",
        (f"{GRANTED}to_the_crm_only",),
    ),
    Planted(
        "without a grant the cycle goes on",
        "crmsync.daemon.cycle.run",
        "    if cx.grant.nothing:\n        return",
        "    if False:\n        return",
        (f"{GRANTED}without_a_grant_nothing_is_decided_either",),
    ),
    Planted(
        "a message stays good for ever",
        "crmsync.daemon.adaptor.authentication",
        "if abs(now - time) > exchange.window:",
        "if False:",
        (
            f"{REFUSED}a_stale_message_and_one_from_the_future",
            f"{REFUSED}a_recorded_message_is_worth_nothing_later",
        ),
    ),
    Planted(
        "a nonce is good for another message",
        "crmsync.daemon.adaptor.job_scheduler",
        "if known is not None and known.digest != message.digest:",
        "if False:",
        (f"{REFUSED}a_nonce_with_another_body",),
    ),
    Planted(
        "a repeated message is carried out again",
        "crmsync.daemon.adaptor.job_scheduler",
        "known = tx.jobs.of_nonce(caller.name, caller.nonce)",
        "known = None",
        (f"{EXCHANGE}a_repeated_message_is_the_first_one",),
    ),
)
