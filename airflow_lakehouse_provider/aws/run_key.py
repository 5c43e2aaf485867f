"""The run key: the task and its round that started a job run; it travels in the run's arguments.

StartJobRun has no idempotency token. A key among the arguments, looked up with GetJobRuns, replaces it: a retry finds
the run whose id it never got, and a cleared task distinguishes its runs from earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

# The argument that carries it. Not --YEAR-like: getResolvedOptions matches prefixes.
ARGUMENT = "--lakehouse-run-key"
_VERSION = "v1"


@dataclass(frozen=True)
class RunKey:
    """A task of a DAG run, and its round of tries: automatic retries keep it, a clear begins the next.

    :ivar run_started: the DAG run's start, ISO 8601 in UTC: a run that is deleted and made anew, or a metadata
        database that is reset, repeats names but not this
    :ivar map_index: -1 for a task that is not mapped
    :ivar max_tries: the task instance's; Airflow raises it when a task is cleared, and at no other time
    """

    dag_id: str
    task_id: str
    run_id: str
    run_started: str
    map_index: int
    max_tries: int

    def __str__(self) -> str:
        """Return text without blanks, quotes and braces, which nothing on the way to a script takes for syntax."""
        fields = (self.dag_id, self.task_id, self.run_id, self.run_started, str(self.map_index), str(self.max_tries))
        return "/".join((_VERSION, *(quote(field, safe="") for field in fields)))

    @classmethod
    def parse(cls, text: str | None) -> RunKey | None:
        """Return the key that ``str`` made this text of; None for any other text."""
        version, *fields = (text or "").split("/")
        if version != _VERSION or len(fields) != 6:
            return None
        dag_id, task_id, run_id, run_started, map_index, max_tries = map(unquote, fields)
        try:
            return cls(dag_id, task_id, run_id, run_started, int(map_index), int(max_tries))
        except ValueError:
            return None

    def follows(self, other: RunKey) -> bool:
        """Return True if this is a later round of the same task: cleared since, perhaps with its whole DAG run.

        A clear raises max_tries; clearing an ended DAG run moves its start too. An equal max_tries with another start
        belongs to a DAG run that was created anew, or to another Airflow: nothing that this task may stop.
        """
        mine = (self.dag_id, self.task_id, self.run_id, self.map_index)
        theirs = (other.dag_id, other.task_id, other.run_id, other.map_index)
        return mine == theirs and self.max_tries > other.max_tries and self.run_started >= other.run_started
