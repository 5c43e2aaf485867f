"""The exceptions of the local AWS.

Those that a user can meet derive from one root; their messages give the reason and what to do::

    LocalAwsError
        OptionError               an option has a value that is not allowed; nothing was started
        AlreadyRunning            a local AWS runs in this Python process already
        PortInUse                 another program listens on the port, or the user may not open it
        RootInUse                 another local AWS uses the root
        RootNotWritable           the root cannot be made or written
        StateError                the state under the root cannot be read, or another version wrote it
        ProcessError              the process of a LocalAwsProcess ended before it served
        AwsError                  an error that the client receives as AWS's
        AccessDenied              IAM does not allow an access
        PolicyError               a document is no IAM policy
        SqlError                  Athena refuses a statement, or it fails
        ModuleInstallError        a Glue job's Python modules cannot be installed
        ArchiveError              the class archive that shortens Spark's start cannot be built
        CompileError              Spark's file system for --enforce-iam cannot be compiled

Internal exceptions are caught where they are raised, or one module above, and reach nobody::

    Cancelled                     DuckDB was interrupted (athena)
    Refusal                       a value has no result in Trino (athena/sql)
    NotPrunable                   a condition does not restrict partitions (athena/sql)
    CrawlStopped                  StopCrawler ended a crawl (glue/crawlers)
    Unclassifiable                no classifier recognizes a file (glue/crawlers)
    RunFailure                    a job run ends FAILED (glue/jobs)
    RunStopped                    a job run ends STOPPED (glue/jobs)
    NoSuchKey                     nobody has an access key (iam)
        SessionExpired            the session of an access key is over (iam)
    UnknownVariable               a policy's variable has no value (iam)
    ObjectChanged                 a file was replaced while it was read (moto)

GlueArgumentError (glue/awsglue) is AWS's: job scripts catch it.
"""

from __future__ import annotations


class LocalAwsError(Exception):
    """The root of the exceptions; the message gives the reason and what to do."""


class OptionError(LocalAwsError, ValueError):
    """An option has a value that is not allowed; the message names the option, the value and the allowed ones."""


class AlreadyRunning(LocalAwsError):
    """A local AWS runs in this Python process already."""


class PortInUse(LocalAwsError):
    """The port cannot be opened; the message names it."""


class RootInUse(LocalAwsError):
    """Another local AWS uses the root; the message names its process."""


class RootNotWritable(LocalAwsError):
    """The root cannot be made or written; the message gives the reason."""


class StateError(LocalAwsError):
    """The state under the root cannot be read, or another version wrote it."""


class ProcessError(LocalAwsError):
    """The process of a local AWS ended before it served; the message contains its log."""
