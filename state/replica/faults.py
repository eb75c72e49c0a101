"""What can be wrong with a request or a row, in Salesforce's codes and words.

The same fault is an HTTP answer of its own for a single record and an entry of `errors` for a row of a
collection; SOAP and Bulk will say it in their ways. So the code and message are made here, once.
"""

from dataclasses import dataclass

__all__ = ["Ambiguous", "Fault", "Outcome", "Rejected", "Saved"]


class Fault(Exception):
    """A row or request that is refused. `code` is Salesforce's statusCode, `fields` are the fields at fault."""

    def __init__(self, code: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(code, message, fields)
        self.code = code
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Ambiguous(Fault):
    """An external id names several records."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        super().__init__(
            "DUPLICATE_EXTERNAL_ID", f"More than one record found for external id field: [{', '.join(ids)}]"
        )
        self.ids = ids


@dataclass(frozen=True, slots=True)
class Saved:
    """The row was written; `created` tells an upsert's insert from its update."""

    id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """The row was not written. `id` is the record it spoke of, as far as that is known."""

    faults: tuple[Fault, ...]
    id: str | None = None


Outcome = Saved | Rejected

ROLLED_BACK = Fault(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


def not_found() -> Fault:
    return Fault("NOT_FOUND", "The requested resource does not exist")


def no_object(name: str) -> Fault:
    return Fault("INVALID_TYPE", f"sObject type '{name}' is not supported.")


def no_column(object_name: str, name: str) -> Fault:
    return Fault("INVALID_FIELD", f"No such column '{name}' on sobject of type {object_name}")


def malformed_id(value: str) -> Fault:
    return Fault("MALFORMED_ID", f"malformed id {value[:40]}")


def wrong_type_of_id(label: str, value: str, fields: tuple[str, ...] = ()) -> Fault:
    return Fault("MALFORMED_ID", f"{label}: id value of incorrect type: {value}", fields)


def deleted() -> Fault:
    return Fault("ENTITY_IS_DELETED", "entity is deleted")


def no_reference(fields: tuple[str, ...] = ()) -> Fault:
    return Fault("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields)


def no_access() -> Fault:
    return Fault("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")


def required(names: tuple[str, ...]) -> Fault:
    return Fault("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(names)}]", names)


def not_writable(names: tuple[str, ...]) -> Fault:
    return Fault(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {', '.join(names)}. Please check the security settings of this field "
        "and verify that it is read/write for your profile or permission set.",
        names,
    )
