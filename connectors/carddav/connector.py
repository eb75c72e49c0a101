"""CardDAV (RFC 6352): address books of vCards."""

from typing import Unpack

from crmsync.connectors.carddav import mapping
from crmsync.connectors.contract import Kind
from crmsync.connectors.dav.flavour import Flavour
from crmsync.connectors.dav.source import DavSource, Options
from crmsync.connectors.dav.wire import CARDDAV

FLAVOUR = Flavour(
    name="carddav",
    thing="address book",
    format=mapping,
    suffix=".vcf",
    content_type="text/vcard; charset=utf-8",
    data=CARDDAV + "address-data",
    multiget=CARDDAV + "addressbook-multiget",
    query=CARDDAV + "addressbook-query",
    resource_type=CARDDAV + "addressbook",
    home=CARDDAV + "addressbook-home-set",
    well_known="/.well-known/carddav",
    kinds={"": Kind.CONTACT},
)


class CardDavSource(DavSource):
    def __init__(self, url: str, username: str, password: str, **options: Unpack[Options]) -> None:
        super().__init__(FLAVOUR, url, username, password, **options)
