"""The bench's people: plain contacts with what a real card has, made from a number."""

CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:bench-{n}\r\nFN:Ada {n} Example\r\nN:Example{n};Ada;;;\r\nTITLE:Sample {e}\r\n"
    "EMAIL;TYPE=WORK:ada.{n}@example.com\r\nTEL;TYPE=CELL:+44 20 7{n:07}\r\nTEL;TYPE=WORK:+44 30 7{n:07}\r\n"
    "ADR;TYPE=WORK:;;{n} Sample Way;Exampletown;;12345;Germany\r\nORG:Example Ltd;Sales\r\nX-KEPT:as it is\r\n"
    "BDAY:1990-02-03\r\nCATEGORIES:CRM\r\nREV:2026-11-01T10:00:00Z\r\nEND:VCARD\r\n"
)


def card(number: int, edit: int = 0) -> str:
    return CARD.format(n=number, e=edit)


def row(number: int) -> dict[str, str]:
    """The same person as a record of the CRM."""
    return {
        "FirstName": "Ada",
        "LastName": f"Example{number}",
        "Title": "Sample 0",
        "Department": "Sales",
        "Email": f"ada.{number}@example.com",
        "MobilePhone": f"+44 20 7{number:07}",
        "Phone": f"+44 30 7{number:07}",
        "MailingStreet": f"{number} Sample Way",
        "MailingCity": "Exampletown",
        "MailingPostalCode": "12345",
        "MailingCountry": "Germany",
        "Birthdate": "1990-02-03",
    }
