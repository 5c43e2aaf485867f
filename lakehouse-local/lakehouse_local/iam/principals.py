"""Who calls: from an access key to the user or role session, with every policy that bounds it, as moto keeps them."""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse_local.iam import policy
from lakehouse_local.iam.evaluate import ANONYMOUS, ROLE, ROOT, USER, Principal
from lakehouse_local.iam.policy import Policy

ADMINISTRATOR = "local"  # the access key of the account's root user
_NOBODY = "anonymous"  # what the front calls a request without a signature


class NoSuchKey(LookupError):
    """The access key is nobody's, or the session's token is another's."""


class Expired(NoSuchKey):
    """The session is over."""


@dataclass(frozen=True)
class Session:
    """Credentials of a service's session, which end with the server."""

    access_key_id: str
    secret_access_key: str
    token: str
    role_arn: str
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """As AWS's tools take them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.token,
        }


class Principals:
    """The principals of one account."""

    def __init__(self, account_id: str, partition: str = "aws") -> None:
        self._account_id = account_id
        self._partition = partition
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def session(self, role_arn: str, name: str) -> Session:
        """Credentials for a run that a service carries out as a role. A restart of the server forgets them."""
        letters = string.ascii_uppercase + string.digits
        key = "ASIA" + "".join(secrets.choice(letters) for _ in range(16))
        session = Session(key, secrets.token_urlsafe(30), secrets.token_urlsafe(60), role_arn, name)
        with self._lock:
            self._sessions[key] = session
        return session

    def end(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.access_key_id, None)

    def of_key(self, access_key_id: str, token: str | None = None) -> Principal:
        """Whose key it is.

        :param token: the session token that came with it
        :raises NoSuchKey: nobody's
        :raises Expired: of a session that is over
        """
        if access_key_id == ADMINISTRATOR:
            return self._root()
        if access_key_id == _NOBODY:
            return Principal("anonymous", ANONYMOUS)
        with self._lock:
            session = self._sessions.get(access_key_id)
        if session is not None:
            _check_token(session.token, token)
            return self.of_role(session.role_arn, session.name)
        for user in list(self._iam().users.values()):
            if any(each.access_key_id == access_key_id and each.status == "Active" for each in user.access_keys):
                return self._user(user)
        return self._assumed(access_key_id, token)

    def of_role(self, role_arn: str, session_name: str, session_policy: str | None = None) -> Principal:
        """A session of a role; of one that does not exist it has no rights at all."""
        role = self.role(role_arn)
        name = role_arn.rpartition("/")[2]
        arn = f"arn:{self._partition}:sts::{self._account_id}:assumed-role/{name}/{session_name}"
        user_id = f"{role.id if role is not None else 'AROA'}:{session_name}"
        return Principal(
            arn,
            ROLE,
            self._account_id,
            role_arn,
            _attached(role) if role is not None else (),
            self._managed(role.permissions_boundary_arn) if role is not None else None,
            (policy.parse(session_policy),) if session_policy else (),
            {
                **self._values(role_arn, user_id, "AssumedRole"),
                **_tags(role.tags if role is not None else ()),
            },
        )

    def role(self, role_arn: str) -> Any:
        """moto's role of this ARN, or None."""
        return next((role for role in list(self._iam().roles.values()) if role.arn == role_arn), None)

    def _assumed(self, access_key_id: str, token: str | None) -> Principal:
        from moto.core.utils import utcnow
        from moto.sts.models import sts_backends

        backend = sts_backends[self._account_id][self._partition]
        found = backend.get_assumed_role_from_access_key(access_key_id)
        if found is None:
            raise NoSuchKey(access_key_id)
        _check_token(found.session_token, token)
        if found.expiration < utcnow():
            raise Expired(access_key_id)
        return self.of_role(found.role_arn, found.session_name, found.policy or None)

    def _root(self) -> Principal:
        arn = f"arn:{self._partition}:iam::{self._account_id}:root"
        return Principal(arn, ROOT, self._account_id, values=self._values(arn, self._account_id, "Account"))

    def _user(self, user: Any) -> Principal:
        groups = self._iam().get_groups_for_user(user.name)
        values = {
            **self._values(user.arn, user.id, "User"),
            **_tags(user.tags or ()),
            "aws:username": (user.name,),
        }
        identity = (*_attached(user), *(each for group in groups for each in _attached(group)))
        return Principal(user.arn, USER, self._account_id, identity=identity, values=values)

    def _values(self, arn: str, user_id: str, kind: str) -> dict[str, tuple[str, ...]]:
        return {
            "aws:principalarn": (arn,),
            "aws:principalaccount": (self._account_id,),
            "aws:principaltype": (kind,),
            "aws:userid": (user_id,),
        }

    def _managed(self, arn: str | None) -> Policy | None:
        """A boundary; one that was deleted allows nothing."""
        if not arn:
            return None
        found = self._iam().managed_policies.get(arn)
        return _document(found) if found is not None else Policy(())

    def _iam(self) -> Any:
        from moto.iam.models import iam_backends

        return iam_backends[self._account_id][self._partition]


def _check_token(wanted: str, given: str | None) -> None:
    if not secrets.compare_digest(wanted.encode(), (given or "").encode()):
        raise NoSuchKey("the session token is not the key's")


def _attached(holder: Any) -> tuple[Policy, ...]:
    """The policies of a user, a group or a role: its own, then those attached."""
    own = [policy.parse(document) for document in list(holder.policies.values())]
    return (*own, *(_document(each) for each in list(holder.managed_policies.values())))


def _document(managed: Any) -> Policy:
    document = next(each.document for each in managed.versions if each.version_id == managed.default_version_id)
    return policy.parse(document)


def _tags(tags: Any) -> Mapping[str, tuple[str, ...]]:
    """As the condition keys of the caller's tags; moto keeps them in either of two forms."""
    each: Iterable[Mapping[str, str]] = tags.values() if isinstance(tags, dict) else tags
    return {f"aws:principaltag/{tag['Key'].lower()}": (tag["Value"],) for tag in each}
