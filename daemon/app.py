"""The composition root: the only module that knows all parts. It turns a configuration into a working engine."""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from crmsync.config.account import Account as AccountConfig
from crmsync.config.account import Activity as ActivityName
from crmsync.config.crm import ClientCredentialsLogin, JwtLogin, PasswordLogin
from crmsync.config.crm import Crm as CrmConfig
from crmsync.config.model import Config
from crmsync.config.source import Source as SourceConfig
from crmsync.config.table import Server
from crmsync.config.values import Kind as KindName
from crmsync.connectors.abilities import Window
from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.contract import Kind, Side, Source
from crmsync.connectors.salesforce.auth import Auth, ClientCredentials, Jwt, Password
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.daemon.account import Account, Crm, Mailbox, Private
from crmsync.daemon.alerts.bells import Bells
from crmsync.daemon.cycle.context import Retries
from crmsync.daemon.cycle.stamps import Signer, load_key
from crmsync.daemon.engine import Engine
from crmsync.daemon.exchange import exchange
from crmsync.daemon.lazy import LazyMailbox, LazySource, WatchedMailbox
from crmsync.daemon.mail import exchange_outlook, mail, mail_outlook, wishes
from crmsync.daemon.operations import permission
from crmsync.daemon.plan.grant import ALL, NOTHING
from crmsync.daemon.plan.guard import Limit
from crmsync.daemon.plan.reconcile import DeleteRule
from crmsync.daemon.plan.terms import Direction, Policy, Rule
from crmsync.daemon.replica.beside import beside_replica
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.modes import Mode
from crmsync.daemon.replica.offering import offered, place_of
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.surroundings import check_extras, check_urllib3
from crmsync.daemon.telephony.keeping import Keeping
from crmsync.daemon.telephony.logs import call_logs
from crmsync.state.database import State
from crmsync.state.errors import StateError
from crmsync.state.replica.local.difference import Policy as ReplicaPolicy
from crmsync.state.witness import Witness

Clock = Callable[[], datetime]
TURN = 0.0005  # seconds until a thread that has an answer gets its turn beside one that computes; else 0.005
_POLICIES = {"hold": Policy.ASK, "crm": Policy.CRM, "ecs": Policy.ECS, "latest": Policy.LATEST}
_CONFLICTS = {
    "ask": ReplicaPolicy.HOLD,
    "latest": ReplicaPolicy.LATEST,
    "local": ReplicaPolicy.LOCAL,
    "server": ReplicaPolicy.SERVER,
}
_WATCHED = frozenset(
    {"ews", "imap"}
)  # types of sources that are ``Watching``, which is asked before one is made
_SHOWN: Mapping[str, frozenset[Kind]] = {  # what sources of each type can have
    "carddav": frozenset({Kind.CONTACT}),
    "caldav": frozenset({Kind.APPOINTMENT, Kind.TASK}),
    "ews": frozenset({Kind.CONTACT, Kind.APPOINTMENT, Kind.TASK, Kind.EMAIL}),
    "imap": frozenset({Kind.EMAIL}),
}
_KINDS: tuple[tuple[Kind, KindName], ...] = (
    (Kind.CONTACT, "contact"),
    (Kind.APPOINTMENT, "appointment"),
    (Kind.TASK, "task"),
    (Kind.EMAIL, "email"),
)
_ACTIVITIES: tuple[tuple[Kind, ActivityName], ...] = (
    (Kind.PHONE_CALL, "phone_call"),
    (Kind.LETTER, "letter"),
    (Kind.FAX, "fax"),
)


def build(config: Config, *, now: Clock = lambda: datetime.now(UTC)) -> Engine:
    """Raises StateError, and Failure for an environment in which nothing would work. Servers are not asked for anything
    yet, nor secrets read: a login that is wrong concerns only the account that has it."""
    sys.setswitchinterval(TURN)
    check_urllib3()
    check_extras(source.type for account in config.account.values() for source in account.source)
    check_extras(["oidc"] if config.login.oidc is not None else [])
    state = State.open(config.state.url, now=now)
    try:
        signer = Signer(load_key(config.state.key_path))
    except (OSError, ValueError) as error:
        state.close()
        raise StateError(
            f"the key that signs links cannot be used: {config.state.key_path}: {error}",
            hint="make it readable and writable for the service's user, or restore it from the backup",
        ) from error
    crms = {name: _crm(name, crm, now) for name, crm in config.crm.items()}
    accounts = {
        name: _account(name, account, _unverified(name, config), crms, now)
        for name, account in config.account.items()
    }
    keepers = {n: _keeper(config, n, crms[n], now) for n, crm in config.crm.items() if crm.replica}
    for n, keeper in keepers.items():
        crms[n].source = _beside_replica(config.crm[n], crms[n], keeper, now)
    # a call that is over comes to its person in one sync
    accounts = call_logs(config, accounts, now) | accounts
    return Engine(
        state=state,
        signer=signer,
        replicas=Replicas(
            keepers,
            now,
            {n: partial(offered, config.crm[n], keeper, now) for n, keeper in keepers.items()},
            {n: place for n in keepers if (place := place_of(n, config.crm[n], config.state.folder))},
            permission.REPLICA if config.schedule.authority == "crm" else "",
        ),
        witness=Witness(config.state.key_path.with_name(f"{config.state.key_path.name}.seen")),
        accounts=accounts,
        calls=Keeping.of(config, now),
        retries=Retries(budget=config.schedule.retries),
        history=config.state.history,
        by_itself=NOTHING if config.schedule.authority == "crm" else ALL,
        stale_after=max(timedelta(minutes=10), 3 * config.schedule.interval),
        bells=Bells.of(config.alerts, now),
        now=now,
    )


def _crm(name: str, config: CrmConfig, now: Clock) -> Crm:
    rules = {kind: config.rules(name) for kind, name in _KINDS}

    def connect() -> Source:
        return SalesforceSource(
            config.url,
            auth=_auth(config),
            fields=_fields(config),
            external_id=config.external_id or "",
            api_version=config.api_version or "59.0",
            ca_file=str(config.ca_file) if config.ca_file else None,
            verify=config.verify,
            now=now,
        )

    return Crm(
        name=name,
        source=LazySource(Side.CRM, connect),
        rules={
            kind: {c: Rule(Direction(r.direction), Policy(r.conflict)) for c, r in some.items()}
            for kind, some in rules.items()
        },
        insisted=config.named_fields,
        expires=config.expires,
    )


def _keeper(config: Config, name: str, crm: Crm, now: Clock) -> Keeper:
    chosen = config.crm[name].replica_settings
    assert isinstance(crm.source, LazySource)
    wanted = {name: fields for name in chosen.objects if (fields := chosen.wanted(name)) is not None}
    settings = Settings(chosen.objects, wanted, chosen.interval, _CONFLICTS[chosen.policy], Mode(chosen.mode))
    return Keeper(
        name,
        chosen.file_or_url(name, config.state.folder),
        settings,
        crm.source.replication,
        now=now,
    )


def _fields(config: CrmConfig) -> Mapping[Kind, Mapping[str, str]]:
    return {kind: {c: r.field for c, r in config.rules(name).items() if r.field} for kind, name in _KINDS}


def _beside_replica(config: CrmConfig, crm: Crm, keeper: Keeper, now: Clock) -> Source:
    lazy = crm.source
    assert isinstance(lazy, LazySource)
    return beside_replica(lazy, lazy.salesforce, keeper, _fields(config), config.external_id or "", now)


def _auth(config: CrmConfig) -> Auth:
    match config.login:
        case PasswordLogin(client_id, secret, username, password):
            return Password(client_id, secret.reveal(), username, password.reveal())
        case ClientCredentialsLogin(client_id, secret):
            return ClientCredentials(client_id, secret.reveal())
        case JwtLogin(client_id, username, private_key, audience):
            return Jwt(client_id, username, private_key.reveal(), audience)


def _unverified(name: str, config: Config) -> list[str]:
    """Of the account's own servers, and of those that all of them share."""
    account = config.account[name]
    servers: dict[str, Server | None] = {
        **{f"account.{name}.source[{n}]": source for n, source in enumerate(account.source)},
        f"crm.{account.crm}": config.crm[account.crm],
        "login.oidc": config.login.oidc,
        "alerts.webhook": config.alerts.webhook,
    }
    return [
        f"{where}: the certificate of {server.insecure_host} is not checked (`verify = false`)"
        for where, server in servers.items()
        if server is not None and not server.verify
    ]


def _account(
    name: str, config: AccountConfig, warnings: Sequence[str], crms: Mapping[str, Crm], now: Clock
) -> Account:
    wanted = {kind: config.collection_for(name) for kind, name in _KINDS}
    return Account(
        name=name,
        crm=crms[config.crm],
        crm_user=config.crm_user,
        mailboxes=[_mailbox(config, source, now) for source in config.source],
        tag=config.tag,
        select_all=config.select == "all",
        crm_select=config.crm_select,
        first_link=_POLICIES[config.first_link],
        default_collection={kind: where for kind, where in wanted.items() if where is not None},
        deletes={kind: DeleteRule(config.delete_rule(name)) for kind, name in (*_KINDS, *_ACTIVITIES)},
        kept_open=frozenset(kind for kind, name in _ACTIVITIES if not config.completes(name)),
        limits={kind: Limit(t.count, t.percent) for kind, name in _KINDS for t in [config.threshold(name)]},
        names=frozenset((*config.addresses, *config.owner_of)),
        private=Private(config.private),
        window=Window(back=config.series_back, ahead=config.series_ahead),
        warnings=warnings,
    )


def _mailbox(account: AccountConfig, config: SourceConfig, now: Clock) -> Mailbox:
    def connect() -> Source:
        zone = ZoneInfo(account.time_zone)
        ca_file = str(config.ca_file) if config.ca_file else None
        if config.type == "ews":
            wanted = wishes(account, config)
            return exchange(
                config, ca_file=ca_file, verify=config.verify, default_zone=zone, now=now, mail=wanted
            )
        if config.type == "imap":
            return mail(account, config, ca_file=ca_file)
        make = {"carddav": CardDavSource, "caldav": CalDavSource}[config.type]
        password = config.password.reveal() if config.password else ""
        username = config.username or ""
        known = (*account.addresses, *((username,) if "@" in username else ()))
        return make(
            config.url,
            username,
            password,
            ca_file=ca_file,
            verify=config.verify,
            default_zone=zone,
            now=now,
            max_attachment=config.max_attachment,
            invitations=account.invitations,
            proxies=config.proxies,
            ourselves=frozenset(address.lower() for address in known),
        )

    address = f"{config.url} {config.mailbox}" if config.mailbox else config.url
    lazy = WatchedMailbox if config.type in _WATCHED else LazyMailbox
    only = tuple(config.collections or ())
    outlook = f"{urlsplit(config.url).netloc} {account.time_zone}"
    if config.type == "imap":
        outlook += f" {mail_outlook(account, config)}"
    if config.type == "ews":
        outlook += f" {exchange_outlook(account, config)}"
    return Mailbox(
        config.type,
        lazy(Side.ECS, connect),
        address,
        only,
        config.username or "",
        outlook=outlook,
        kinds=_SHOWN[config.type],
        expires=config.expires,
    )
