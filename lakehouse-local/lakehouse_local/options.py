"""The options of a local AWS, which are checked before anything starts."""

from __future__ import annotations

import re
from functools import cache

from lakehouse_local.errors import OptionError

HIGHEST_PORT = 65535


def check_port(name: str, port: int | str) -> int:
    """Return a port as a number.

    :param name: the option, for the message
    :raises OptionError: it is no port
    """
    if not re.fullmatch(r"[0-9]{1,5}", str(port)) or int(port) > HIGHEST_PORT:
        raise OptionError(f"{name} must be a number from 0 (any free port) to {HIGHEST_PORT}, not {port!r}")
    return int(port)


def check_account(name: str, account_id: str) -> str:
    """Return an account id.

    :param name: the option, for the message
    :raises OptionError: it is no account id
    """
    if not re.fullmatch(r"[0-9]{12}", account_id):
        raise OptionError(f"{name} must be twelve digits, as 123456789012, not {account_id!r}")
    return account_id


def check_region(name: str, region: str) -> str:
    """Return a region of AWS's partition ``aws``.

    :param name: the option, for the message
    :raises OptionError: there is no such region
    """
    if region not in _regions():
        raise OptionError(f"{name} must be a region of AWS, not {region!r}: one of {', '.join(sorted(_regions()))}")
    return region


@cache
def _regions() -> frozenset[str]:
    from botocore.loaders import Loader

    (partition,) = [each for each in Loader().load_data("partitions")["partitions"] if each["id"] == "aws"]
    return frozenset(name for name in partition["regions"] if not name.endswith("global"))
