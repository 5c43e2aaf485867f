"""The root of the provider's exceptions, and their tree."""

from __future__ import annotations


class LakehouseError(Exception):
    """The root of all exceptions that the provider defines.

    Each is defined where it is raised. Operators and sensors turn them into Airflow's own exceptions, by which Airflow
    decides about a retry; the ``lakehouse`` command prints their message. Those that callers may catch by a builtin
    class derive from that too, such as ValueError for a value that cannot be used.

    ::

        LakehouseError
            ArgumentError           an argument of an operator cannot be used
            ArtifactError           a file that dbt wrote cannot be read
            AttemptLost             another try of the task has taken over
            AwsFailure              AWS refuses a call, and a repetition does not help
                ActiveRun           another task's run of the unit is active
                BadRequest          AWS refuses a request that can never succeed
                    NotFound        a resource that was named does not exist
            BundleError             the MWAA bundle cannot be built
            DemoError               the demo cannot go on
            EventError              a deferred task cannot go on with its event
            ExecutableError         dbt cannot be started
            GateRefused             a dbt project or attempt cannot go through the gate
            LakehouseConfigError    lakehouse.yaml cannot be used
            ParseFailed             dbt cannot parse the project before a build under the gate
            ProfileError            no profile can be made for dbt
            ProjectError            the dbt project cannot be used
            PublishingError         nothing can be published or rolled back
                LeaseError          another publisher is at work
                Moved               production is not what was read any more
            Stopped                 dbt was stopped before it was started
            SyncError               the MWAA bundle cannot be copied to S3
            UnreachableError        something that dbt needs could not be fetched
            VersionError            what dbt's Glue job reads or leaves in S3 has another version
    """
