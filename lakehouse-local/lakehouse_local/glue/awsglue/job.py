"""awsglue.job: init and commit of a job. The local AWS keeps no bookmarks, which they are for on AWS."""

from __future__ import annotations

from typing import Any

BOOKMARK_OPTIONS = (
    "--job-bookmark-option",
    ("job-bookmark-enable", "job-bookmark-pause", "job-bookmark-disable"),
)
CONTINUATION_OPTIONS = (
    "--continuation-option",
    ("continuation-enabled", "continuation-readonly", "continuation-ignore"),
)
BOOKMARK_RANGE_OPTIONS = ("--job-bookmark-from", "--job-bookmark-to")
ID_PARAMS = ("--JOB_NAME", "--JOB_ID", "--JOB_RUN_ID", "--SECURITY_CONFIGURATION")
ENCRYPTION_OPTIONS = ("--encryption-type", ("sse-s3",))


class Job:
    """The job that a script runs as."""

    @classmethod
    def continuation_options(cls) -> list[str]:
        return [CONTINUATION_OPTIONS[0], *CONTINUATION_OPTIONS[1]]

    @classmethod
    def job_bookmark_options(cls) -> list[str]:
        return [BOOKMARK_OPTIONS[0], *BOOKMARK_OPTIONS[1]]

    @classmethod
    def job_bookmark_range_options(cls) -> list[str]:
        return list(BOOKMARK_RANGE_OPTIONS)

    @classmethod
    def id_params(cls) -> list[str]:
        return list(ID_PARAMS)

    @classmethod
    def encryption_type_options(cls) -> list[str]:
        return [ENCRYPTION_OPTIONS[0], *ENCRYPTION_OPTIONS[1]]

    def __init__(self, glue_context: Any) -> None:
        self._glue_context = glue_context
        self._name: str | None = None

    def init(self, job_name: str, args: dict[str, Any] | None = None) -> None:
        self._name = job_name

    def isInitialized(self) -> bool:
        return self._name is not None

    def commit(self) -> None:
        """Do nothing: there is no bookmark to store."""
