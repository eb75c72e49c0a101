"""The process is killed in the middle of the first sync. What the next one makes of it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bars.cli import until
from tests.bars.lines import put
from tests.bars.meetings import event, task
from tests.bars.office import FULL, Office, office
from tests.bars.people import Sample, contact

pytestmark = [pytest.mark.bar, pytest.mark.timeout(1200)]
SIZE = 200 if FULL else 24


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[Office, dict[str, list[Sample]]]]:
    with office(tmp_path) as made:
        samples = {
            "Contact": [contact(n) for n in range(SIZE)],
            "Event": [event(n) for n in range(SIZE)],
            "Task": [task(n) for n in range(SIZE // 4)],
        }
        for table, some in samples.items():
            for sample in some:
                made.dav.put((made.book if table == "Contact" else made.calendar) + sample.name, sample.text)
        yield made, samples


def _all_there_once(made: Office, samples: dict[str, list[Sample]]) -> None:
    for table, some in samples.items():
        key = "Email" if table == "Contact" else "Subject"
        assert sorted(row[key] for row in made.rows(table)) == sorted(sample.key for sample in some)
        where = made.stored(made.book if table == "Contact" else made.calendar)
        stamped = [name for name, stored in where.items() if stored.text.count("X-CRMSYNC-LINK:") == 1]
        assert {sample.name for sample in some} <= set(stamped)
    assert len(made.stored(made.book)) == len(samples["Contact"])
    assert len(made.stored(made.calendar)) == len(samples["Event"]) + len(samples["Task"])


def _killed(made: Office, arm: Callable[[Callable[[int], None]], None]) -> bool:
    """Starts a sync whose process dies where ``arm`` puts the trap; whether it came to that."""
    with made.cli.started("sync") as process:

        def kill(number: int) -> None:
            process.kill()
            process.wait()

        arm(kill)
        process.communicate(timeout=300)
        return process.returncode == -9


def _again(made: Office, samples: dict[str, list[Sample]]) -> None:
    made.dav_proxy.before = made.dav_proxy.after = lambda number: None
    made.crm_proxy.before = made.crm_proxy.after = lambda number: None
    answer = made.cli("sync")
    assert answer.code == 0, (answer.json, _waiting(made))
    _all_there_once(made, samples)
    made.quiet()


def _waiting(made: Office) -> list[object]:
    """What the tool says about it, for whoever reads the failure."""
    return [made.cli(what).json for what in ("queue", "matches", "deletions", "conflicts")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("where", ["dav", "crm"])
def test_killed_at_a_request(filled: tuple[Office, dict[str, list[Sample]]], where: str, when: str) -> None:
    """Again and again, each time some requests later: before the server hears of one, or after it has carried it out
    and nobody heard of it."""
    made, samples = filled
    watched = made.dav_proxy if where == "dav" else made.crm_proxy
    rng = random.Random(f"{where} {when}")
    deaths = 0
    for _ in range(8 if FULL else 3):
        watched.forget()
        fatal = rng.randrange(2, 25 if where == "dav" else 12)

        def arm(kill: Callable[[int], None], fatal: int = fatal) -> None:
            setattr(watched, when, lambda number: kill(number) if number == fatal else None)

        deaths += _killed(made, arm)
    assert deaths >= 1
    _again(made, samples)


@pytest.mark.parametrize("seed", range(4 if FULL else 1))
def test_killed_at_any_time(filled: tuple[Office, dict[str, list[Sample]]], seed: int) -> None:
    """By the progress that the servers see, and then a moment that nobody chose."""
    made, samples = filled
    rng = random.Random(seed)
    for _ in range(4 if FULL else 3):
        made.dav_proxy.forget()
        made.crm_proxy.forget()
        wanted = rng.randrange(1, 40)
        with made.cli.started("sync") as process:
            until(lambda: made.requests() >= wanted or process.poll() is not None, 120)  # noqa: B023
            process.kill()
            process.communicate(timeout=60)
    _again(made, samples)


def test_killed_in_every_write_to_the_crm(filled: tuple[Office, dict[str, list[Sample]]]) -> None:
    """Each upsert of the first sync is carried out, and its answer lost."""
    made, samples = filled

    def arm(kill: Callable[[int], None]) -> None:
        made.crm_proxy.after = lambda number: (
            kill(number) if made.crm_proxy.seen[-1].method == "PATCH" else None
        )

    killed = [_killed(made, arm) for _ in range(3)]
    assert killed[0]
    _again(made, samples)


def _kill_at_some_requests(made: Office, seed: int) -> int:
    """A few syncs, each of which dies at one of its first requests to the DAV server; how many did."""
    rng = random.Random(seed)
    deaths = 0
    for when in ("before", "after", "after"):
        made.dav_proxy.forget()
        made.dav_proxy.before = made.dav_proxy.after = lambda number: None
        fatal = rng.randrange(4, 20)

        def arm(kill: Callable[[int], None], when: str = when, fatal: int = fatal) -> None:
            setattr(made.dav_proxy, when, lambda number: kill(number) if number == fatal else None)

        deaths += _killed(made, arm)
    made.dav_proxy.before = made.dav_proxy.after = lambda number: None
    return deaths


def test_killed_while_it_brings_the_crm_into_the_address_book(tmp_path: Path) -> None:
    with office(tmp_path) as made:
        emails = [f"crm.{n}@example.com" for n in range(SIZE)]
        for email in emails:
            made.sf_alice.Contact.create({"LastName": email.partition("@")[0], "Email": email})
        assert _kill_at_some_requests(made, 1)
        assert made.cli("sync").code == 0
        cards = [stored.text for stored in made.stored(made.book).values()]
        assert len(cards) == len(emails)
        assert all(sum(email in card for card in cards) == 1 for email in emails)
        assert sorted(row["Email"] for row in made.rows("Contact")) == sorted(emails)
        made.quiet()


def test_killed_while_it_carries_edits_over(filled: tuple[Office, dict[str, list[Sample]]]) -> None:
    """Every second contact was edited on both sides, in different columns: no edit is lost or taken for another."""
    made, samples = filled
    made.sync()
    rows = {row["Email"]: row for row in made.rows("Contact")}
    people = samples["Contact"][::2]
    for number, sample in enumerate(people):
        url = made.book + sample.name
        made.dav.put(url, put(made.text(url), "TITLE", f"Card {number}", "TITLE"))
        made.sf_alice.Contact.update(rows[sample.key]["Id"], {"MobilePhone": f"+49 170 55{number:04}"})
    assert _kill_at_some_requests(made, 2)
    assert made.cli("sync").code == 0
    rows = {row["Email"]: row for row in made.rows("Contact")}
    for number, sample in enumerate(people):
        text = made.text(made.book + sample.name)
        assert f":+49 170 55{number:04}" in text
        assert rows[sample.key]["MobilePhone"] == f"+49 170 55{number:04}"
        assert f"TITLE:Card {number}\r\n" in text
        assert rows[sample.key]["Title"] == f"Card {number}"
    assert made.cli.ok("conflicts") == []
    made.quiet()
