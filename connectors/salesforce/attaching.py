"""The files of a record (Attachment), made after it and looked up first: whoever was interrupted makes the rest."""

import base64
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Attachment, Create, Outcome, Refused, Update
from crmsync.connectors.files import told
from crmsync.connectors.salesforce import faults, people, soql
from crmsync.connectors.salesforce.table import Table, row_id


@dataclass(frozen=True, slots=True)
class Made:
    """A record that stands."""

    position: int  # among the writes
    id: str
    write: Create | Update


def detach(table: Table, made: Sequence[Made]) -> None:
    """Takes out the files that have no name in the list any more."""
    wanted = {m.id: m.write.columns["attachments"] for m in made if isinstance(m.write, Update)}
    doomed: list[str] = []
    for some in soql.batches(list(wanted)):
        for row in people.rows(
            table, ("Id", "ParentId", "Name"), "Attachment", soql.within("ParentId", some)
        ):
            names = wanted[soql.id18(str(row.get("ParentId")))]
            if told(str(row.get("Name"))) not in (names if isinstance(names, tuple) else ()):
                doomed.append(row_id(row))
    for ids in soql.batches(doomed):
        path = f"{table.client.root}/composite/sobjects?ids={','.join(ids)}&allOrNone=false"
        table.client.call("DELETE", path, "Attachment")


def attach(table: Table, made: Sequence[Made]) -> dict[int, Outcome]:
    """Adds what is missing of the files. Returns what was refused of them."""
    wanted = [(m, m.write.original.attachments) for m in made if m.write.original]
    there: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for some in soql.batches([m.id for m, files in wanted if files]):
        where = soql.within("ParentId", some)
        for row in people.rows(table, ("ParentId", "Name", "BodyLength"), "Attachment", where):
            length = row.get("BodyLength")
            name = str(row.get("Name"))
            there[soql.id18(str(row.get("ParentId")))].append(
                (name, length if isinstance(length, int) else 0)
            )
    refused: dict[int, Outcome] = {}
    for message, files in wanted:
        for file in files:
            if not file.size:
                continue  # the CRM keeps nothing that is empty
            if (_name(file), file.size) in there[message.id]:
                there[message.id].remove((_name(file), file.size))
            elif (outcome := _sent(table, message, file)) is not None:
                refused[message.position] = outcome
    return refused


def _name(file: Attachment) -> str:
    return soql.clean(file.name).strip()[:255] or "attachment"


def _sent(table: Table, message: Made, file: Attachment) -> Outcome | None:
    answer = table.client.call(
        "POST",
        f"{table.client.root}/sobjects/Attachment",
        "Attachment",
        body={
            "ParentId": message.id,
            "Name": _name(file),
            "ContentType": file.type[:120],
            "Body": base64.b64encode(file.read()).decode(),
        },
        accept=frozenset({201, 400, 413}),
    )
    if answer.status == 201:
        return None
    given = faults.faults(answer.data)
    outcome = faults.outcome(_key(message.write), given)
    if isinstance(outcome, Refused):
        return Refused(outcome.id, outcome.code, f"one of its attachments: {outcome.reason}")
    return outcome


def _key(write: Create | Update) -> str:
    return write.key if isinstance(write, Create) else write.id
