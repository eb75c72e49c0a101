"""Mistakes in what keeps strangers and other people out of the status page."""

from tests.mutants.planted import Planted

SECURITY = "tests/daemon/web/test_security.py::test_"
DECISIONS = "tests/daemon/web/test_decisions.py::test_"
ONLY = "tests/daemon/cycle/test_only.py::test_"

ON_THE_PAGE = (
    Planted(
        "any Host will do",
        "crmsync.daemon.web.gate",
        "    if len(host) != 1 or host[0].lower() not in own:",
        "    if len(host) != 1:",
        (f"{SECURITY}the_gate[rebound name]",),
    ),
    Planted(
        "a form may come from anywhere",
        "crmsync.daemon.web.gate",
        '    if method not in READING and not origin and site != ["same-origin"]:',
        "    if False:",
        (f"{SECURITY}the_gate[form that does not say]",),
    ),
    Planted(
        "another port of this host is taken for ours",
        "crmsync.daemon.web.gate",
        'site not in (["same-origin"], ["none"])',
        'site not in (["same-origin"], ["same-site"], ["none"])',
        (f"{SECURITY}the_gate[another port of this host]",),
    ),
    Planted(
        "a form needs no token",
        "crmsync.daemon.web.site",
        '                if not fits(session, form.one("token")):',
        "                if False:",
        (f"{SECURITY}a_form_without_its_sessions_token_does_nothing",),
    ),
    Planted(
        "a login link opens twice",
        "crmsync.daemon.web.links",
        "self._open.pop(_hash(token), None)",
        "self._open.get(_hash(token))",
        (f"{SECURITY}a_login_link_opens_once",),
    ),
    Planted(
        "a session never ends",
        "crmsync.daemon.web.sessions",
        "        if self._now() >= session.until:",
        "        if False:",
        (f"{SECURITY}an_expired_session_opens_nothing",),
    ),
    Planted(
        "people are shown everybody's account",
        "crmsync.daemon.web.access",
        "        return self.account is None or account == self.account",
        "        return True",
        (f"{DECISIONS}another_persons_account_is_not_there",),
    ),
    Planted(
        "people are shown how everybody stands",
        "crmsync.daemon.web.board",
        "        if viewer.account is not None:",
        "        if False:",
        (f"{SECURITY}a_person_is_shown_their_own_account_alone",),
    ),
    Planted(
        "a person approves their own storm of deletions",
        "crmsync.daemon.web.decisions",
        "        if not visit.viewer.admin:",
        "        if False:",
        (f"{DECISIONS}a_person_sees_their_held_deletions_and_does_not_decide",),
    ),
    Planted(
        "any record may be chosen as partner",
        "crmsync.daemon.web.decisions",
        "        await self._check_candidate(names, item, record)\n",
        "",
        (f"{DECISIONS}a_partner_is_chosen_among_the_candidates",),
    ),
    Planted(
        "a decision about a shared item is made for everybody who sees it",
        "crmsync.daemon.operations.decide",
        "for p in pairs_of(state, item, who.only) if",
        "for p in pairs_of(state, item) if",
        (f"{ONLY}a_conflict_is_decided_in_these_accounts_alone",),
    ),
)
