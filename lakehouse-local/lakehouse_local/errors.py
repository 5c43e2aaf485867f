"""The exceptions that users of the local AWS meet.

::

    LocalAwsError
        PortInUse       another program listens on the port
        RootInUse       another local AWS uses the root
        StateError      the state under the root cannot be read, or another version wrote it
"""

from __future__ import annotations


class LocalAwsError(Exception):
    """The local AWS cannot do what was asked; the message says why and what to do."""


class PortInUse(LocalAwsError):
    """The port is taken; the message says which and what to do."""


class RootInUse(LocalAwsError):
    """Another local AWS uses the root; the message says which process."""


class StateError(LocalAwsError):
    """The state under the root cannot be read, or another version wrote it; the message says what to do."""
