"""The SOAP partner API: `wire` is bytes to values and back, `endpoint` finds the operation that a message asks for."""

from crmsync.daemon.crm_api.soap.endpoint import Endpoint

__all__ = ["Endpoint"]
