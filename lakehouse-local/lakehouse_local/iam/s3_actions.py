"""The accesses that S3's operations need.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html,
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from lakehouse_local.iam.access import Access, ApiCall, resource_tags
from lakehouse_local.iam.account import Account

# Operation -> IAM's action, where their names differ.
_NAMES = {
    "ListBuckets": "ListAllMyBuckets",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "HeadObject": "GetObject",
    "SelectObjectContent": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "PostObject": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}
# Actions that have a variant for a call that names a version.
_WITH_VERSION = (
    "GetObject",
    "DeleteObject",
    "GetObjectTagging",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "GetObjectAcl",
)
_LISTINGS = {"ListBucket", "ListBucketVersions"}
_LISTED = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}


def s3_accesses(call: ApiCall, account: Account) -> list[Access]:
    """Return the accesses of a call of S3."""
    given = call.parameters
    bucket, key = given.get("Bucket"), given.get("Key")
    action = _NAMES.get(call.operation, call.operation)
    if bucket is None:
        return [Access(f"s3:{action}", "*")]
    arn = f"arn:{account.partition}:s3:::{bucket}"
    if call.operation == "DeleteObjects":
        return [
            _versioned(action, f"{arn}/{each['Key']}", each.get("VersionId"))
            for each in (given.get("Delete") or {}).get("Objects") or ()
        ]
    if key is None:
        context = {name: (str(given[member]),) for member, name in _LISTED.items() if given.get(member) is not None}
        return [Access(f"s3:{action}", arn, context if action in _LISTINGS else {})]
    needed = [_versioned(action, f"{arn}/{key}", given.get("VersionId"))]
    if given.get("Tagging") and action == "PutObject":
        needed.append(Access("s3:PutObjectTagging", f"{arn}/{key}"))
    if source := given.get("CopySource"):
        needed.append(_copy_source(str(source), account))
    return needed + _kms_accesses(action, str(bucket), given, account)


def _versioned(action: str, arn: str, version: str | None) -> Access:
    if version and action in _WITH_VERSION:
        action = action.replace("Object", "ObjectVersion", 1)
    return Access(f"s3:{action}", arn)


def _copy_source(source: str, account: Account) -> Access:
    path, _, version = unquote(source).lstrip("/").partition("?versionId=")
    return _versioned("GetObject", f"arn:{account.partition}:s3:::{path}", version or None)


def _kms_accesses(action: str, bucket: str, given: Mapping[str, Any], account: Account) -> list[Access]:
    """Return the access to the KMS key that an encrypted object needs besides, through S3."""
    named = given.get("SSEKMSKeyId") if str(given.get("ServerSideEncryption", "")).startswith("aws:kms") else None
    key = account.key_arn(str(named)) if named else account.bucket_key(bucket)
    needed = {"GetObject": "kms:Decrypt", "PutObject": "kms:GenerateDataKey"}.get(action)
    if key is None or needed is None:
        return []
    through = {"kms:viaservice": (f"s3.{account.region}.amazonaws.com",)}
    return [Access(needed, key, {**through, **resource_tags(account.key_tags(key))})]
