"""Mail: tagged in a mailbox it becomes one activity for all who have a copy; what is said about it goes both ways."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Kind, Side, Value
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.faults import Faults
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import crm, mailbox
from crmsync.daemon.account import Account, Crm, Mailbox
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.engine import Engine
from crmsync.daemon.plan.guard import Limit
from crmsync.daemon.plan.reconcile import DeleteRule
from crmsync.daemon.plan.terms import Direction, Rule
from crmsync.state.database import State
from crmsync.state.model import Pair, PairState
from crmsync.state.witness import Witness
from tests.daemon.cycle.world import Clock

SAID = ("status", "regarding")
RULES = {
    Kind.EMAIL: {
        n: Rule() if n in SAID else Rule(Direction.TO_CRM)
        for n in ("subject", "body_text", "from", "to", "sent_at", "message_id", "thread", "direction", *SAID)
    }
}
PEOPLE = ("alice", "bob")


class Post:
    """Alice's mailbox and Bob's, one CRM. ``bobs``: what his is called, if it is reached in another way than hers."""

    def __init__(self, folder: Path, bobs: str = "mail") -> None:
        self.clock, self.folder = Clock(), folder
        self.boxes = {name: MemoryServer(now=self.clock, traits=mailbox()) for name in PEOPLE}
        self.ids = {"alice": "mail", "bob": bobs}
        for name, box in self.boxes.items():
            box.add("Mail", Kind.EMAIL, id=self.ids[name])
        self.crm = MemoryServer(now=self.clock, traits=crm())
        self.table = self.crm.add("EmailMessage", Kind.EMAIL).id
        self.users = {name: self.crm.add_user(f"{name}@example.com") for name in PEOPLE}
        self.start()

    def start(self) -> None:
        login = Crm("main", MemorySource(self.crm, Side.CRM), RULES)
        self.engine = Engine(
            state=State.open(f"sqlite:///{self.folder / 'state.db'}", now=self.clock),
            signer=Signer(b"k" * 32),
            witness=Witness(self.folder / "witness"),
            accounts={name: self.account(name, login) for name in PEOPLE},
            now=self.clock,
            jitter=lambda: 0.5,
        )

    def account(self, name: str, login: Crm) -> Account:
        source = Mailbox("memory", MemorySource(self.boxes[name], Side.ECS))
        deletes = {Kind.EMAIL: DeleteRule.UNTAG}
        return Account(name, login, f"{name}@example.com", [source], deletes=deletes)

    def lose_the_state(self) -> None:
        self.engine.close()
        for part in ("", "-wal", "-shm"):
            (self.folder / f"state.db{part}").unlink(missing_ok=True)
        self.start()

    def arrives(self, *names: str, id: str = "one@example.com", tag: bool = True, **more: Value) -> str:
        """At everyone of these, with the same Message-ID."""
        columns: dict[str, Value] = {
            "subject": "Offer",
            "body_text": "Here it is.",
            "from": "ada@example.com",
            "to": ("alice@example.com",),
            "sent_at": datetime(2026, 11, 20, 9, tzinfo=UTC),
            "message_id": id,
            "direction": "incoming",
            "status": "completed",
            **more,
        }
        for name in names:
            item = self.boxes[name].put(self.ids[name], columns, tags=["CRM"] if tag else [], uid=id)
        return item

    def sync(self, *names: str, **options: Any) -> dict[str, Any]:
        self.clock.tick()
        report: dict[str, Any] = self.engine.sync(names=names, **options)
        assert report["errors"] == [], report["errors"]
        return report

    def idle(self) -> None:
        assert self.sync()["writes"] == 0

    def pairs(self) -> list[Pair]:
        with self.engine.state.reading() as tx:
            return [p for name in PEOPLE for p in tx.pairs.listing(name)]

    def activity(self) -> Any:
        (item,) = self.crm.all(self.table)
        return item


class Meanwhile(Faults):
    """Something happens, once, on the way to an operation."""

    def __init__(self, operation: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._operation, self._act = operation, act

    def before(self, operation: str, detail: str) -> None:
        super().before(operation, detail)
        if operation == self._operation:
            self._operation = ""
            self._act()


@pytest.fixture
def bobs() -> str:
    return "mail"


@pytest.fixture
def post(tmp_path: Path, bobs: str) -> Iterator[Post]:
    made = Post(tmp_path, bobs)
    yield made
    made.engine.close()


def test_a_tagged_message_becomes_an_activity_and_an_untagged_one_does_not(post: Post) -> None:
    post.arrives("alice")
    post.arrives("alice", id="private@example.com", tag=False)
    post.sync()
    assert post.activity().columns["message_id"] == "one@example.com"
    post.idle()


# One mailbox is read by its owner's login, another one by a service's, or over another protocol.
anyhow = pytest.mark.parametrize("bobs", ["mail", "mail/bob"])


@anyhow
def test_one_message_in_two_mailboxes_is_one_activity(post: Post) -> None:
    post.arrives("alice", "bob")
    post.sync("alice")
    post.sync("bob")
    post.activity()
    assert [p.state for p in post.pairs()] == [PairState.LINKED] * 2
    post.idle()


def test_each_copy_is_read_with_its_own_login(post: Post) -> None:
    """They bear one id, and may well have the same version, on servers that look the same to both."""
    item = post.arrives("alice", "bob")
    for account in post.engine.accounts.values():
        account.mailboxes[0].outlook = "one server"
    post.sync("alice")
    post.sync("bob")
    post.boxes["alice"].edit(item, regarding="Acme deal")
    post.boxes["bob"].edit(item, status="in_progress")
    post.sync()
    assert post.activity().columns["regarding"] == "Acme deal"
    assert post.activity().columns["status"] == "in_progress"


@anyhow
@pytest.mark.parametrize("within", ["search", "create"])
def test_also_when_both_accounts_meet_it_at_the_same_moment(post: Post, within: str) -> None:
    post.arrives("alice", "bob")
    post.crm.faults = Meanwhile(within, lambda: post.sync("bob"))
    post.sync("alice")
    post.sync()
    post.activity()
    assert [p.state for p in post.pairs()] == [PairState.LINKED] * 2
    post.idle()


def test_nobody_is_given_what_lies_in_anothers_mailbox(post: Post) -> None:
    """Whoever sends them chooses the Message-ID of two messages; one server, one protocol, and everybody's own mailbox
    has one name."""
    for account in post.engine.accounts.values():
        account.mailboxes[0].outlook = "the same server"
    post.arrives("alice", body_text="For Alice's eyes.")
    post.arrives("bob")
    post.sync("alice")
    post.sync("bob")
    assert post.boxes["bob"].faults.calls["fetch"] > 0


def test_that_the_marks_of_two_copies_differ_is_nobodys_edit(post: Post) -> None:
    item = post.arrives("alice")
    post.boxes["bob"].put(
        "mail",
        {**post.boxes["alice"].read(item).columns, "status": "in_progress"},
        tags=["CRM"],
        uid="one@example.com",
    )
    post.sync("alice")
    post.sync("bob")
    post.idle()
    assert post.activity().columns["status"] == "completed"
    assert [b.read(item).columns["status"] for b in post.boxes.values()] == ["completed", "in_progress"]


def test_what_the_crm_says_about_it_comes_back_and_what_was_sent_does_not_change(post: Post) -> None:
    item = post.arrives("alice")
    post.sync()
    post.crm.edit(post.activity().id, status="in_progress", regarding="Acme deal", subject="Rewritten")
    post.sync()
    columns = post.boxes["alice"].read(item).columns
    assert (columns["status"], columns["regarding"], columns["subject"]) == (
        "in_progress",
        "Acme deal",
        "Offer",
    )
    post.idle()


def test_the_deletion_of_the_activity_takes_the_tags_and_leaves_the_messages(post: Post) -> None:
    item = post.arrives("alice", "bob")
    post.sync()
    post.sync()
    post.crm.delete(post.activity().id)
    post.sync()
    assert [b.read(item).tags for b in post.boxes.values()] == [frozenset(), frozenset()]
    post.idle()
    assert list(post.crm.all(post.table)) == []


def test_a_message_that_is_deleted_keeps_its_activity(post: Post) -> None:
    item = post.arrives("alice")
    post.sync()
    post.boxes["alice"].delete(item)
    post.sync()
    post.activity()
    post.crm.edit(post.activity().id, status="in_progress")
    post.idle()


def test_an_edited_activity_of_a_deleted_message_stays_and_nothing_is_made_up(post: Post) -> None:
    item = post.arrives("alice")
    post.sync()
    post.boxes["alice"].delete(item)
    post.crm.edit(post.activity().id, status="in_progress")
    post.sync()
    post.activity()
    assert list(post.boxes["alice"].all("mail")) == []
    post.idle()


def test_mail_of_the_crm_is_not_made_up_in_the_mailbox(post: Post) -> None:
    post.arrives("alice")
    post.sync()
    post.crm.put(
        post.table,
        {"subject": "Sent from the CRM", "message_id": "crm@example.com"},
        owner=post.users["alice"],
    )
    post.idle()


def test_an_untagged_message_is_unlinked_and_a_tagged_one_linked_again(post: Post) -> None:
    item = post.arrives("alice")
    post.sync()
    post.boxes["alice"].untag(item, "CRM")
    post.sync()
    post.activity()
    post.boxes["alice"].tag(item, "CRM")
    post.sync()
    post.activity()
    post.crm.edit(post.activity().id, status="in_progress")
    post.sync()
    assert post.boxes["alice"].read(item).columns["status"] == "in_progress"


def test_a_lost_state_finds_the_activity_by_its_message_id(post: Post) -> None:
    post.arrives("alice", "bob")
    post.sync()
    post.sync()
    post.lose_the_state()
    post.sync()
    post.sync()
    post.activity()


# ── What it says is read once ────────────────────────────────────────────────────────────────────────────────


def reads(post: Post) -> Counter[str]:
    """At Alice's mailbox, from now on."""
    post.boxes["alice"].faults.calls.clear()
    return post.boxes["alice"].faults.calls


def test_a_flag_does_not_cost_the_message_again(post: Post) -> None:
    item = post.arrives("alice", body_html="<p>kept by the mailbox alone</p>")
    post.sync()
    post.sync()
    calls = reads(post)
    post.boxes["alice"].edit(item, status="in_progress")
    post.sync()
    assert post.activity().columns["status"] == "in_progress"
    post.crm.edit(post.activity().id, status="completed", subject="Rewritten")
    post.sync()
    assert post.boxes["alice"].read(item).columns["status"] == "completed"
    assert (calls["fetch"], calls["glance"]) == (0, 2)
    post.idle()
    post.engine.reconcile()
    assert post.activity().columns["body_text"] == "Here it is."


def test_of_what_is_made_again_everything_is_read(post: Post) -> None:
    item = post.arrives("alice")
    post.engine.accounts["alice"].deletes = {Kind.EMAIL: DeleteRule.MIRROR}
    post.sync()
    post.sync()
    post.crm.delete(post.activity().id)
    post.boxes["alice"].edit(item, status="in_progress")
    post.sync()
    columns = post.activity().columns
    assert (columns["status"], columns["body_text"], columns["subject"]) == (
        "in_progress",
        "Here it is.",
        "Offer",
    )
    post.idle()


def test_a_column_that_is_exchanged_from_now_on_is_read(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.arrives("alice", cc=("grace@example.com",))
    post.sync()
    post.sync()
    post.engine.close()
    monkeypatch.setitem(RULES, Kind.EMAIL, {**RULES[Kind.EMAIL], "cc": Rule(Direction.TO_CRM)})
    post.start()
    post.sync()
    assert post.activity().columns["cc"] == ("grace@example.com",)
    post.idle()


def test_a_dry_run_makes_nothing(post: Post) -> None:
    post.arrives("alice")
    plan = post.sync(dry_run=True)["plan"]
    assert [line["action"] for line in plan] == ["create"]
    assert list(post.crm.all(post.table)) == []


def test_mail_of_a_forgotten_person_leaves_no_trace_and_stays_out(post: Post) -> None:
    post.arrives("alice", to=("alice@example.com", "grace@example.com"))
    post.sync()
    assert post.engine.forget("grace@example.com")["forgotten"] == 1
    assert b"grace@example.com" not in (post.folder / "state.db").read_bytes()
    post.arrives("alice", id="two@example.com", **{"from": "grace@example.com"})
    post.sync()
    assert post.activity().columns["message_id"] == "one@example.com"


@pytest.mark.parametrize("rule", [DeleteRule.UNTAG, DeleteRule.MIRROR])
def test_a_message_is_not_made_up_when_its_delete_is_rejected(post: Post, rule: DeleteRule) -> None:
    """Nothing is made in a mailbox for what the CRM holds: the record stays, and that is all that can be put right."""
    alice = post.engine.accounts["alice"]
    alice.deletes, alice.limits = {Kind.EMAIL: rule}, {Kind.EMAIL: Limit(0, 0)}
    item = post.arrives("alice")
    post.sync()
    post.boxes["alice"].delete(item)
    post.sync()
    assert len(post.engine.deletions()) == 1
    post.engine.decide_deletions(approve=False)
    post.sync()
    assert (post.boxes["alice"].all(), len(post.crm.all())) == ([], 1)
    assert (post.engine.deletions(), post.engine.queue()) == ([], [])
    post.idle()
