"""Triggers that notice a user's kill: mark failed, mark success or clear, or an end by Airflow itself.

Airflow 3.3 calls a trigger's `on_kill`, also when it only hands the trigger over to another triggerer
(apache/airflow#73454); before 3.3 every end of a trigger is the same cancellation. So Airflow is asked for the task's
state.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow_lakehouse_provider._airflow.compat import AIRFLOW_3, BaseTrigger, TriggerEvent

_AIRFLOW_CALLS_ON_KILL = hasattr(BaseTrigger, "on_kill")
# The loop keeps no strong reference to a task.
_STOPPING: set[asyncio.Task[None]] = set()


class KillableTrigger(BaseTrigger):
    """A mixin for triggers whose remote work can be stopped; stands before the trigger's class among the bases."""

    async def stop_remote(self) -> None:
        """Stop the remote work. Called once after a user's kill, never when another triggerer takes over."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            async for event in super().run():
                yield event
        except asyncio.CancelledError:
            if not _AIRFLOW_CALLS_ON_KILL:
                await self.on_kill()
            raise

    async def on_kill(self) -> None:
        # In an asyncio task of its own: a triggerer that is slow to see the trigger's end cancels it once more, and its
        # first look-up of a state takes seconds.
        stopping = asyncio.get_running_loop().create_task(self._stop_if_killed())
        _STOPPING.add(stopping)
        stopping.add_done_callback(_STOPPING.discard)
        await asyncio.shield(stopping)

    async def _stop_if_killed(self) -> None:
        try:
            if await _is_killed(self):
                await self.stop_remote()
            else:
                self.log.info("The trigger moves to another triggerer; its remote work goes on.")
        except Exception as error:
            # Nothing is lost: the next try of the task finds the run by its key.
            self.log.warning(
                "The remote work of a killed task could not be stopped: %s: %s", type(error).__name__, error
            )


async def _is_killed(trigger: Any) -> bool:
    """Return True if the trigger's task no longer waits for it."""
    ti = getattr(trigger, "task_instance", None)
    if ti is None:  # run by hand, as `dag.test()` does
        return False
    from asgiref.sync import sync_to_async

    return bool(await sync_to_async(_task_is_killed)(ti))


def _task_is_killed(ti: Any) -> bool:
    if AIRFLOW_3:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        mapped = ti.map_index is not None and ti.map_index >= 0
        states = RuntimeTaskInstance.get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        of_run = states.get(ti.run_id) or {}
        state = of_run.get(f"{ti.task_id}_{ti.map_index}") if mapped else of_run.get(ti.task_id)
        return str(getattr(state, "value", state)) != "deferred"
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        row = (
            session.query(TaskInstance.trigger_id)
            .filter_by(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
            .one_or_none()
        )
    # A task that is deferred anew has another trigger.
    return row is None or row.trigger_id is None or row.trigger_id != ti.trigger_id
