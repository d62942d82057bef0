"""Calls on a machine whose only network is itself."""

import aioice.ice

LOOPBACK = "127.0.0.1"


def is_alone() -> bool:
    """Say whether this machine has no address but its own."""
    return not _of_networks(use_ipv4=True, use_ipv6=True)


def connect_over_loopback_when_alone() -> None:
    """Let WebRTC peers of this process use 127.0.0.1 where there is no other address.

    aioice never offers that address and has no setting for it, so that with the network cable out
    not even two programs of one machine could connect. Calling this twice does no harm.
    """
    aioice.ice.get_host_addresses = _host_addresses


_of_networks = aioice.ice.get_host_addresses


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return _of_networks(use_ipv4, use_ipv6) or [LOOPBACK]
