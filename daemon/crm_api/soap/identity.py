"""Who and when: getUserInfo, getServerTimestamp, logout."""

import datetime
from typing import Any

from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.soap.session import Soap
from crmsync.daemon.crm_api.soap.wire import Message
from crmsync.state.replica.sessions import IDLE

__all__ = ["info", "invalidate", "log_out", "moment", "timestamp", "user_info"]

LARGEST_ATTACHMENT = 5 * 1024 * 1024


def user_info(soap: Soap, message: Message) -> dict[str, Any]:
    return info(soap.crm, soap.caller.user_id)


def info(crm: Crm, user_id: str) -> dict[str, Any]:
    user = crm.store.read(crm.store.caller(user_id), "User", user_id)
    return {
        "accessibilityMode": False,
        "chatterExternal": False,
        "currencySymbol": "$",
        "orgAttachmentFileSizeLimit": LARGEST_ATTACHMENT,
        "orgDefaultCurrencyIsoCode": "USD",
        "orgDefaultCurrencyLocale": "en_US",
        "orgDisallowHtmlAttachments": False,
        "orgHasPersonAccounts": False,
        "organizationId": crm.org.id,
        "organizationMultiCurrency": False,
        "organizationName": crm.org.name,
        "profileId": user["ProfileId"],
        "roleId": None,
        "sessionSecondsValid": int(IDLE.total_seconds()),
        "userDefaultCurrencyIsoCode": None,
        "userEmail": user["Email"],
        "userFullName": user["Name"],
        "userId": user_id,
        "userLanguage": user["LanguageLocaleKey"],
        "userLocale": user["LocaleSidKey"],
        "userName": user["Username"],
        "userTimeZone": user["TimeZoneSidKey"],
        "userType": "Standard",
        "userUiSkin": "Theme3",
    }


def timestamp(soap: Soap, message: Message) -> dict[str, Any]:
    now = soap.crm.clock().astimezone(datetime.UTC).replace(tzinfo=None)
    return {"timestamp": moment(now)}


def log_out(soap: Soap, message: Message) -> None:
    soap.crm.sessions.end(soap.token)


def invalidate(soap: Soap, message: Message) -> list[dict[str, Any]]:
    """invalidateSessions: whoever knows a session's id may end it."""
    given = [each.strip() for each in message.texts("sessionIds")]
    for token in given or [soap.token]:
        soap.crm.sessions.end(token)
    return [{"success": True} for _ in given]


def moment(value: datetime.datetime) -> str:
    """A naive UTC datetime as SOAP writes it."""
    return f"{value.isoformat(timespec='milliseconds')}Z"
