"""The account whose resources permissions are about: ARNs by name, tags, a bucket's key, a query's work group."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lakehouse_local.iam.arn import name_of_arn
from lakehouse_local.moto.resources import PARTITION, MotoResources


def _no_query(query_execution_id: str) -> str | None:
    return None


class Account:
    """An account and the resources in it; a resource that does not exist has an ARN all the same.

    :param work_group_of_query: function from the id of an Athena query execution to its work group
    :ivar resources: the resources as moto keeps them
    """

    partition = PARTITION

    def __init__(
        self, region: str, account_id: str, *, work_group_of_query: Callable[[str], str | None] = _no_query
    ) -> None:
        self.region = region
        self.account_id = account_id
        self.work_group_of_query = work_group_of_query
        self.resources = MotoResources(account_id, region)

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """Return the ARN of a resource of this account."""
        region = self.region if regional else ""
        return f"arn:{self.partition}:{service}:{region}:{self.account_id}:{resource}"

    def role_arn(self, name: str) -> str:
        """Return a role's ARN, with its path; an ARN is returned as it is."""
        if name.startswith("arn:"):
            return name
        role = self.resources.role_named(name_of_arn(name))
        return role.arn if role is not None else self.arn("iam", f"role/{name}", regional=False)

    def user_arn(self, name: str) -> str:
        """Return a user's ARN, with its path; an ARN is returned as it is."""
        if name.startswith("arn:"):
            return name
        return self.resources.user_arn(name) or self.arn("iam", f"user/{name}", regional=False)

    def role_boundary(self, name: str) -> str | None:
        """Return the ARN of a role's permissions boundary, or None."""
        role = self.resources.role_named(name_of_arn(name))
        return role.boundary_arn if role is not None else None

    def role_tags(self, name: str) -> Mapping[str, str]:
        """Return a role's tags."""
        role = self.resources.role_named(name_of_arn(name))
        return role.tags if role is not None else {}

    def key_arn(self, key: str) -> str:
        """Return the ARN of a KMS key.

        :param key: its id, its alias, or the ARN of either
        """
        if key.startswith("arn:") and ":alias/" not in key:
            return key
        alias = key.rpartition(":")[2]
        found = self.resources.key_id_of_alias(alias) if alias.startswith("alias/") else key
        return self.arn("kms", f"key/{name_of_arn(found or key)}")

    def key_tags(self, arn: str) -> Mapping[str, str]:
        """Return the tags of a KMS key."""
        return self.resources.key_tags(name_of_arn(arn))

    def bucket_key(self, bucket: str) -> str | None:
        """Return the ARN of the KMS key that a bucket encrypts its objects with by default, or None."""
        key = self.resources.bucket_kms_key(bucket)
        return self.key_arn(key) if key else None
