"""An address to listen at."""

from __future__ import annotations

from ipaddress import ip_address


class AddressError(ValueError):
    """An address to listen at is misspelt, or is not this machine's alone."""


def address_of(text: str, *, public: bool) -> tuple[str, int]:
    """`127.0.0.1:8099` or `[::1]:8099` as host and port. Raises AddressError for one that others reach, unless public."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        alone = host == "localhost" or ip_address(host).is_loopback
        number = int(port)
    except ValueError:
        raise AddressError(f"{text!r} is no address; write e.g. 127.0.0.1:8765") from None
    if not 0 <= number < 65_536:
        raise AddressError(f"{text!r}: a port is a number from 0 to 65535")
    if not alone and not public:
        raise AddressError(f"{host} can be reached by other machines; give --public if that is meant")
    return host, number
