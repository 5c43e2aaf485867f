"""A trigger that waits for the end of a Glue job run in which dbt works."""

from __future__ import annotations

import asyncio

from airflow_lakehouse_provider._airflow.connection import in_thread
from airflow_lakehouse_provider.aws import job_runs
from airflow_lakehouse_provider.dbt.glue_job import stop_queries
from airflow_lakehouse_provider.triggers.glue import GlueJobRunTrigger

# Seconds of a kill, which may take 20 in all, and between looks at the run.
_SECONDS, _PAUSE = 12.0, 1.0


class DbtGlueRunTrigger(GlueJobRunTrigger):
    """A GlueJobRunTrigger whose run's Athena queries a user's kill stops too.

    :ivar carried: with ``folder``, the run's folder in S3
    """

    async def stop_remote(self) -> None:
        await super().stop_remote()
        if not self.stop_on_kill:
            return
        s3 = await self.connection.client_from_loop("s3")
        athena = await self.connection.client_from_loop("athena")
        glue = await self.connection.client_from_loop("glue")
        folder, stopped = self.carried["folder"], set[str]()
        until = asyncio.get_running_loop().time() + _SECONDS
        while True:
            # A run that is STOPPING may still start queries: the last round comes after its end.
            run = await in_thread(lambda: job_runs.get(glue, self.job_name, self.run_id))
            stopped |= set(await in_thread(lambda: stop_queries(s3, athena, folder, self.run_id, _SECONDS)))
            if run.ended or asyncio.get_running_loop().time() > until:
                break
            await asyncio.sleep(_PAUSE)
        if stopped:
            self.log.info("Stopped the Athena queries %s.", ", ".join(sorted(stopped)))
