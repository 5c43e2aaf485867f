"""The principals of an account: from an access key to a user or a role session, with every policy that bounds it."""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from lakehouse_local.iam import policy
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.arn import name_of_arn
from lakehouse_local.iam.evaluate import ANONYMOUS, ROLE, ROOT, USER, Principal
from lakehouse_local.iam.policy import PolicyDocument
from lakehouse_local.moto.resources import UserRecord

ADMINISTRATOR = "local"  # the access key of the account's root user
TEMPORARY = "ASIA"  # the access keys of sessions begin so, as AWS's do
_NOBODY = "anonymous"  # the front's access key for a request without a signature


class NoSuchKey(LookupError):
    """No principal has the access key, or the session token belongs to another key."""


class SessionExpired(NoSuchKey):
    """The session of the access key is over."""


@dataclass(frozen=True)
class RoleSession:
    """Credentials with which a service acts as a role; they end with the server."""

    access_key_id: str
    secret_access_key: str
    token: str
    role_arn: str
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which AWS's tools use the session."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.token,
        }


class Principals:
    """The principals of one account.

    :param rights: False leaves out the rights of roles, which then need not be parsed: only session policies count
    """

    def __init__(self, account: Account, *, rights: bool = True) -> None:
        self._account = account
        self._rights = rights
        self._resources = account.resources
        self._sessions: dict[str, RoleSession] = {}
        self._lock = threading.Lock()

    def start_session(self, role_arn: str, name: str) -> RoleSession:
        """Return credentials for a run that a service carries out as a role."""
        letters = string.ascii_uppercase + string.digits
        key = TEMPORARY + "".join(secrets.choice(letters) for _ in range(16))
        session = RoleSession(key, secrets.token_urlsafe(30), secrets.token_urlsafe(60), role_arn, name)
        with self._lock:
            self._sessions[key] = session
        return session

    def find(self, access_key_id: str, token: str | None = None) -> Principal:
        """Return the principal of an access key.

        :param token: the session token of the request
        :raises NoSuchKey: nobody has this key
        :raises SessionExpired: the key is that of a session that is over
        """
        if access_key_id == ADMINISTRATOR:
            return self.root()
        if access_key_id == _NOBODY:
            return Principal("anonymous", ANONYMOUS)
        with self._lock:
            session = self._sessions.get(access_key_id)
        if session is not None:
            _check_token(session.token, token)
            return self.in_role(session.role_arn, session.name)
        user = self._resources.user_of_key(access_key_id)
        return self._user(user) if user is not None else self._assumed(access_key_id, token)

    def root(self) -> Principal:
        """Return the account's root user, for whom every key stands that is no session's where rights do not count."""
        arn = self._account.arn("iam", "root", regional=False)
        number = self._account.account_id
        return Principal(arn, ROOT, number, values=self._values(arn, number, "Account"))

    def in_role(self, role_arn: str, session_name: str, session: Sequence[PolicyDocument] = ()) -> Principal:
        """Return the principal of a role's session; with a role that does not exist, it has no rights.

        :param session: the session policies
        """
        role = self._resources.role(role_arn)
        bound = role if self._rights else None
        name = f"assumed-role/{name_of_arn(role_arn)}/{session_name}"
        arn = f"arn:{self._account.partition}:sts::{self._account.account_id}:{name}"
        user_id = f"{role.id if role is not None else 'AROA'}:{session_name}"
        return Principal(
            arn,
            ROLE,
            self._account.account_id,
            role_arn,
            _parsed(bound.policies) if bound is not None else (),
            self._boundary(bound.boundary_arn) if bound is not None else None,
            tuple(session),
            {
                **self._values(role_arn, user_id, "AssumedRole"),
                **_principal_tags(role.tags if role is not None else {}),
            },
        )

    def _assumed(self, access_key_id: str, token: str | None) -> Principal:
        found = self._resources.assumed_role(access_key_id)
        if found is None:
            raise NoSuchKey(access_key_id)
        _check_token(found.token, token)
        if found.expiration < datetime.now(timezone.utc).replace(tzinfo=None):
            raise SessionExpired(access_key_id)
        managed = (self._managed(arn) for arn in found.policy_arns)
        own = [policy.parse(found.policy)] if found.policy else []
        return self.in_role(found.role_arn, found.session_name, [*own, *managed])

    def _user(self, user: UserRecord) -> Principal:
        values = {
            **self._values(user.arn, user.id, "User"),
            **_principal_tags(user.tags),
            "aws:username": (user.name,),
        }
        return Principal(user.arn, USER, self._account.account_id, identity=_parsed(user.policies), values=values)

    def _values(self, arn: str, user_id: str, type_: str) -> dict[str, tuple[str, ...]]:
        return {
            "aws:principalarn": (arn,),
            "aws:principalaccount": (self._account.account_id,),
            "aws:principaltype": (type_,),
            "aws:userid": (user_id,),
        }

    def _boundary(self, arn: str | None) -> PolicyDocument | None:
        return self._managed(arn) if arn else None

    def _managed(self, arn: str) -> PolicyDocument:
        """Return a managed policy that limits somebody; one that was deleted allows nothing."""
        document = self._resources.managed_policy(arn)
        return policy.parse(document) if document is not None else PolicyDocument(())


def _check_token(expected: str, given: str | None) -> None:
    if not secrets.compare_digest(expected.encode(), (given or "").encode()):
        raise NoSuchKey("the session token belongs to another access key")


def _parsed(documents: Iterable[str]) -> tuple[PolicyDocument, ...]:
    return tuple(policy.parse(document) for document in documents)


def _principal_tags(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {f"aws:principaltag/{name.lower()}": (value,) for name, value in tags.items()}
