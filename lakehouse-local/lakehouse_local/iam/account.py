"""What permissions need to know of the account: ARNs by name, tags, a bucket's key, a query's work group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def _none(name: str) -> str | None:
    return None


class Account:
    """The account's resources, looked up in moto's state; what does not exist has an ARN all the same.

    :param work_group_of_query: of Athena's executions, by their id
    """

    partition = "aws"

    def __init__(
        self, region: str, account_id: str, *, work_group_of_query: Callable[[str], str | None] = _none
    ) -> None:
        self.region = region
        self.account_id = account_id
        self.work_group_of_query = work_group_of_query

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """The ARN of a resource of this account."""
        region = self.region if regional else ""
        return f"arn:{self.partition}:{service}:{region}:{self.account_id}:{resource}"

    def role_arn(self, name: str) -> str:
        """A role's ARN, with its path; an ARN is itself."""
        return self._iam_arn(name, self._role(name), "role")

    def user_arn(self, name: str) -> str:
        return self._iam_arn(name, self._iam().users.get(name), "user")

    def role_boundary(self, name: str) -> str | None:
        """The ARN of a role's permissions boundary."""
        role = self._role(name)
        return role.permissions_boundary_arn if role is not None else None

    def role_tags(self, name: str) -> Mapping[str, str]:
        role = self._role(name)
        return _pairs(role.tags) if role is not None else {}

    def key_arn(self, key: str) -> str:
        """A KMS key's ARN, of its id, its alias or itself."""
        if key.startswith("arn:") and ":alias/" not in key:
            return key
        from moto.kms.models import kms_backends

        alias = key.rpartition(":")[2]
        backend: Any = kms_backends[self.account_id][self.region]
        found = backend.get_key_id_from_alias(alias) if alias.startswith("alias/") else key
        return self.arn("kms", f"key/{str(found or key).rpartition('/')[2]}")

    def key_tags(self, arn: str) -> Mapping[str, str]:
        from moto.kms.models import kms_backends

        backend: Any = kms_backends[self.account_id][self.region]
        found = backend.tagger.list_tags_for_resource(arn.rpartition("/")[2])["Tags"]
        return {tag["TagKey"]: tag["TagValue"] for tag in found}

    def bucket_key(self, bucket: str) -> str | None:
        """The ARN of the KMS key that a bucket encrypts its objects with by default."""
        from moto.s3.models import s3_backends

        found = s3_backends[self.account_id][self.partition].buckets.get(bucket)
        rule = ((found.encryption or {}) if found is not None else {}).get("Rule") or {}
        default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        key = default.get("KMSMasterKeyID")
        return self.key_arn(key) if key and str(default.get("SSEAlgorithm", "")).startswith("aws:kms") else None

    def _role(self, name: str) -> Any:
        name = name.rpartition("/")[2]
        return next((role for role in list(self._iam().roles.values()) if role.name == name), None)

    def _iam(self) -> Any:
        from moto.iam.models import iam_backends

        return iam_backends[self.account_id][self.partition]

    def _iam_arn(self, name: str, found: Any, kind: str) -> str:
        if name.startswith("arn:"):
            return name
        return str(found.arn) if found is not None else self.arn("iam", f"{kind}/{name}", regional=False)


def _pairs(tags: Any) -> dict[str, str]:
    each = tags.values() if isinstance(tags, dict) else tags or ()
    return {tag["Key"]: tag["Value"] for tag in each}
