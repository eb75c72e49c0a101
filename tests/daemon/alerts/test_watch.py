"""The thread that looks, remembers and tries again."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from crmsync.daemon.alerts.bells import Bells
from crmsync.daemon.alerts.letters import Unsent
from crmsync.daemon.alerts.plan import Letter
from crmsync.daemon.alerts.watch import KEY, Watch
from crmsync.daemon.turns import Turns
from crmsync.state.errors import StateError
from tests.daemon.fakes import Clock, FakeEngine, eventually, fake_engine, standing


@dataclass
class Spy:
    broken: bool = False
    letters: list[Letter] = field(default_factory=list)
    tries: int = 0

    def send(self, letter: Letter) -> None:
        self.tries += 1
        if self.broken:
            raise Unsent("the mail server does not answer")
        self.letters.append(letter)

    def look(self) -> str:
        return "well"


@dataclass
class Scene:
    engine: FakeEngine
    clock: Clock
    mail: Spy = field(default_factory=Spy)
    hook: Spy = field(default_factory=Spy)

    def watch(self) -> Watch:
        """After a start of the service."""
        bells = Bells(ways={"mail": self.mail, "hook": self.hook})
        return Watch(Turns(self.engine), lambda: bells, self.clock)  # type: ignore[arg-type]

    def deletions(self, number: int) -> None:
        alice = {**standing("alice"), "last_success": self.clock().isoformat(), "deletions": number}
        self.engine.answers["status"] = {"accounts": [alice]}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with fake_engine(tmp_path) as engine:
        made = Scene(engine, Clock())
        made.deletions(0)
        yield made


def test_once_when_it_begins_and_once_when_it_ends_across_restarts(scene: Scene):
    scene.deletions(2)
    for _ in range(3):
        scene.watch().look()
    assert [len(letter.began) for letter in scene.mail.letters] == [1]
    scene.deletions(0)
    for _ in range(3):
        scene.watch().look()
    assert [(len(o.began), len(o.ended)) for o in scene.mail.letters] == [(1, 0), (0, 1)]
    assert scene.hook.letters == scene.mail.letters


def test_a_replica_whose_passes_fail_is_told_of_too(scene: Scene):
    def replica(last: str) -> None:
        one = {"name": "main", "light": "failing", "mode": "auto", "interval": 300.0, "waits_for_crm": False}
        one |= {"last_success": last, "error": {"code": "defect", "message": "a defect", "since": last}}
        scene.engine.answers["status"] |= {"replicas": [one]}

    watch, begun = scene.watch(), scene.clock().isoformat()
    scene.clock.pass_by(timedelta(hours=1))
    scene.deletions(0)
    replica(begun)
    watch.look()
    replica(scene.clock().isoformat())
    watch.look()
    assert [(len(o.began), len(o.ended)) for o in scene.mail.letters] == [(1, 0), (0, 1)]
    assert "the replica of crm.main" in scene.mail.letters[0].began[0]


def test_where_nothing_is_new_nothing_is_written(scene: Scene):
    scene.deletions(2)
    watch = scene.watch()
    watch.look()
    with scene.engine.state.transaction() as tx:
        tx.meta.put("seen", "")
        kept = tx.meta.get(KEY)
    watch.look()
    with scene.engine.state.reading() as tx:
        assert tx.meta.get(KEY) == kept


def test_a_way_that_fails_is_tried_again_less_and_less_and_holds_up_no_other(scene: Scene, caplog):
    scene.mail.broken = True
    scene.deletions(2)
    watch = scene.watch()
    for _ in range(20):
        watch.look()
        scene.clock.pass_by(timedelta(seconds=30))
        scene.deletions(2)
    assert len(scene.hook.letters) == 1
    assert scene.mail.tries == 5  # after 30 s, 1 min, 2 min, 4 min
    scene.mail.broken = False
    scene.clock.pass_by(timedelta(minutes=15))
    scene.deletions(2)
    watch.look()
    assert [letter.id for letter in scene.mail.letters] == [scene.hook.letters[0].id]
    actions = [getattr(r, "action", "") for r in caplog.records]
    assert actions.count("alert.unsent") == 1
    watch.look()
    assert len(scene.mail.letters) == 1


def test_what_was_not_sent_yet_is_sent_after_a_restart(scene: Scene):
    scene.mail.broken = True
    scene.deletions(2)
    scene.watch().look()
    scene.mail.broken = False
    scene.watch().look()
    assert (len(scene.mail.letters), len(scene.hook.letters)) == (1, 1)


def test_nobody_to_tell_nothing_to_do(scene: Scene):
    scene.deletions(2)
    Watch(Turns(scene.engine), Bells, scene.clock).look()  # type: ignore[arg-type]
    assert scene.engine.asked("status") == []


def test_a_hanging_mail_server_holds_up_neither_the_engine_nor_the_stop(scene: Scene):
    hangs, go_on = threading.Event(), threading.Event()

    class Hanging(Spy):
        def send(self, letter: Letter) -> None:
            hangs.set()
            go_on.wait(60)

    scene.mail = Hanging()
    scene.deletions(2)
    watch = scene.watch()
    watch.every = 0.01
    watch.start()
    assert hangs.wait(60)
    eventually(lambda: scene.hook.letters)  # nor do those hang that another way takes
    with watch.turns.at_once("alice") as engine, scene.engine.state.transaction() as tx:
        assert engine is not None
        tx.meta.put("free", "yes")
    watch.stop(0.01)
    go_on.set()


def test_a_state_that_fails_is_no_end_of_it(scene: Scene, caplog):
    scene.engine.answers["status"] = StateError("the disk is full")
    watch = scene.watch()
    watch.every = 0.01
    watch.start()
    eventually(lambda: "alert.blind" in [getattr(r, "action", "") for r in caplog.records])
    scene.deletions(2)
    eventually(lambda: scene.mail.letters)
    watch.stop(5.0)
