"""The resources of an account that permissions depend on, read from moto's backends: users, roles, sessions, keys.

Everything is returned as plain values, so that no other package needs moto's classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse_local.moto.backends import get_backend
from lakehouse_local.moto.sessions import policy_arns_of

PARTITION = "aws"
_MAX_SESSION = 3600  # seconds, of a role that says nothing else


@dataclass(frozen=True)
class RoleRecord:
    """A role.

    :ivar policies: JSON documents, inline ones first
    :ivar trust: JSON document that names who may assume it
    :ivar boundary_arn: managed policy that bounds it
    :ivar max_session: seconds that a session of it may last
    """

    arn: str
    id: str
    tags: Mapping[str, str]
    policies: tuple[str, ...]
    trust: str
    boundary_arn: str | None
    max_session: int


@dataclass(frozen=True)
class UserRecord:
    """A user.

    :ivar policies: JSON documents of the user, then of the user's groups
    """

    arn: str
    id: str
    name: str
    tags: Mapping[str, str]
    policies: tuple[str, ...]


@dataclass(frozen=True)
class AssumedRole:
    """A session that STS gave credentials for.

    :ivar expiration: UTC, without a zone
    :ivar policy: JSON document of the session policy
    :ivar policy_arns: managed policies that are session policies too
    """

    role_arn: str
    session_name: str
    token: str
    expiration: datetime
    policy: str | None
    policy_arns: tuple[str, ...] = ()


class MotoResources:
    """The resources of one account in one region."""

    def __init__(self, account_id: str, region: str) -> None:
        self._account_id = account_id
        self._region = region

    def role(self, arn: str) -> RoleRecord | None:
        """Return the role of an ARN, or None."""
        return next((_role(role) for role in self._roles() if role.arn == arn), None)

    def role_named(self, name: str) -> RoleRecord | None:
        """Return the role of a name without its path, or None."""
        return next((_role(role) for role in self._roles() if role.name == name), None)

    def user_arn(self, name: str) -> str | None:
        """Return the ARN of a user, or None."""
        user = self._iam().users.get(name)
        return str(user.arn) if user is not None else None

    def user_of_key(self, access_key_id: str) -> UserRecord | None:
        """Return the user whose active access key it is, or None."""
        for user in list(self._iam().users.values()):
            if any(key.access_key_id == access_key_id and key.status == "Active" for key in user.access_keys):
                groups = self._iam().get_groups_for_user(user.name)
                documents = [document for holder in (user, *groups) for document in _documents(holder)]
                return UserRecord(user.arn, user.id, user.name, _tags(user.tags), tuple(documents))
        return None

    def assumed_role(self, access_key_id: str) -> AssumedRole | None:
        """Return the session of an access key that STS made, or None."""
        found = self._global("sts").get_assumed_role_from_access_key(access_key_id)
        if found is None:
            return None
        return AssumedRole(
            found.role_arn,
            found.session_name,
            found.session_token,
            found.expiration,
            found.policy or None,
            policy_arns_of(found),
        )

    def managed_policy(self, arn: str) -> str | None:
        """Return the JSON document of a managed policy's default version, or None."""
        found = self._iam().managed_policies.get(arn)
        return _default_version(found) if found is not None else None

    def bucket_policy(self, bucket: str) -> str | None:
        """Return the JSON document of a bucket's policy, or None."""
        found = self._bucket(bucket)
        return found.policy.decode() if found is not None and found.policy else None

    def bucket_kms_key(self, bucket: str) -> str | None:
        """Return the KMS key that a bucket encrypts its objects with by default, as the bucket names it, or None."""
        found = self._bucket(bucket)
        rule = ((found.encryption or {}) if found is not None else {}).get("Rule") or {}
        default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        by_kms = str(default.get("SSEAlgorithm", "")).startswith("aws:kms")
        return default.get("KMSMasterKeyID") or None if by_kms else None

    def key_id_of_alias(self, alias: str) -> str | None:
        """Return the KMS key of ``alias/NAME``, as its id or ARN, or None."""
        return self._kms().get_key_id_from_alias(alias) or None

    def key_tags(self, key_id: str) -> Mapping[str, str]:
        """Return the tags of a KMS key."""
        found = self._kms().tagger.list_tags_for_resource(key_id)["Tags"]
        return {tag["TagKey"]: tag["TagValue"] for tag in found}

    def key_policy(self, key_id: str) -> str | None:
        """Return the JSON document of a KMS key's policy, or None if there is no such key."""
        key = self._kms().keys.get(key_id)
        return str(key.policy) if key is not None else None

    def _bucket(self, name: str) -> Any:
        return self._global("s3").buckets.get(name) if name else None

    def _roles(self) -> list[Any]:
        return list(self._iam().roles.values())

    def _iam(self) -> Any:
        return self._global("iam")

    def _kms(self) -> Any:
        return get_backend("kms")[self._account_id][self._region]

    def _global(self, service: str) -> Any:
        # moto keeps what has no region under the partition.
        return get_backend(service)[self._account_id][PARTITION]


def _role(role: Any) -> RoleRecord:
    return RoleRecord(
        role.arn,
        role.id,
        _tags(role.tags),
        tuple(_documents(role)),
        role.assume_role_policy_document,
        role.permissions_boundary_arn,
        int(role.max_session_duration or _MAX_SESSION),
    )


def _documents(holder: Any) -> list[str]:
    """Return the policies of a user, a group or a role: the inline ones, then the attached ones."""
    attached = [_default_version(policy) for policy in list(holder.managed_policies.values())]
    return [*holder.policies.values(), *attached]


def _default_version(policy: Any) -> str:
    return next(str(each.document) for each in policy.versions if each.version_id == policy.default_version_id)


def _tags(tags: Any) -> Mapping[str, str]:
    # moto keeps tags as a list or as a dictionary of the same items.
    each = tags.values() if isinstance(tags, dict) else tags or ()
    return {tag["Key"]: tag["Value"] for tag in each}
