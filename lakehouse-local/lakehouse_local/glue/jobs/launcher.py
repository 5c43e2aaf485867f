"""The program of a job run's process: a watcher that leads the process group, and the script as its child.

Started by file name, with nothing but the standard library, as ``launcher.py SPECIFICATION LIFELINE``: a JSON file
(script, arguments, outcome) and the file descriptor of a pipe. When the server dies, in whatever way, the pipe is
closed and the watcher kills the whole group: script, Java and all processes that they started.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import traceback
from types import TracebackType
from typing import Any

_LONGEST = 2000  # characters of an error message


def watch(script: int, lifeline: int) -> int:
    """Wait for the script's process and return its exit status; kill the group if the lifeline is closed first."""
    finished, finish = os.pipe()
    os.set_blocking(finish, False)
    signal.set_wakeup_fd(finish)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        done, status = os.waitpid(script, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        ready, _, _ = select.select([finished, lifeline], [], [])
        if lifeline in ready:
            os.killpg(0, signal.SIGKILL)
        os.read(finished, 512)


def run(specification: dict[str, Any]) -> int:
    """Run the script as ``__main__`` and return the exit status; an exception is written to the outcome file."""
    script = specification["script"]
    sys.argv = [script, *specification["arguments"]]
    sys.path[0] = os.path.dirname(script)
    try:
        with open(script, "rb") as file:
            code = compile(file.read(), script, "exec")
        main = type(sys)("__main__")
        main.__dict__.update(__file__=script, __builtins__=__builtins__)
        sys.modules["__main__"] = main
        exec(code, main.__dict__)  # noqa: S102 - running the user's script is the purpose
    except SystemExit as exit_:
        if exit_.code in (None, 0):
            return 0
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)
        status = exit_.code if isinstance(exit_.code, int) else 1
        return _write_error(specification, f"SystemExit: {exit_.code}", status)
    except BaseException as error:
        error.__traceback__ = _script_traceback(error.__traceback__, script)
        traceback.print_exception(type(error), error, error.__traceback__)
        return _write_error(specification, message(error), 1)
    return 0


def message(error: BaseException) -> str:
    """Return the ErrorMessage of a job run that raised an exception: ``ValueError: ...``, without the module."""
    text = ": ".join(part for part in (type(error).__name__, str(error).strip()) if part)
    java = getattr(error, "java_exception", None)
    if java is not None:
        # Py4J's text contains Java's whole stack; the error and its cause are enough.
        lines = [line for line in text.splitlines() if not line.lstrip().startswith(("at ", "... "))]
        causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
        text = " ".join([*lines[:2], *(f"(caused by {cause})" for cause in causes[-1:])])
    if missing := re.search(r"Could not initialize target File System for URI : s3[an]?://([^/\s]+)", text):
        text = f"The specified bucket does not exist, or did not exist when the run started: {missing[1]}. {text}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _script_traceback(trace: TracebackType | None, script: str) -> TracebackType | None:
    found = trace
    while found is not None and found.tb_frame.f_code.co_filename != script:
        found = found.tb_next
    return found or trace


def _write_error(specification: dict[str, Any], error: str, status: int) -> int:
    outcome = specification["outcome"]
    with open(f"{outcome}.part", "w", encoding="utf-8") as file:
        json.dump({"error": error}, file)
    os.replace(f"{outcome}.part", outcome)
    return status & 0xFF or 1


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        specification = json.load(file)
    lifeline = int(sys.argv[2])
    script = os.fork()
    if script:
        status = watch(script, lifeline)
        # A script that was killed can leave Java running, which the server kills with the group.
        os._exit(status if status >= 0 else 128 - status)
    os.close(lifeline)
    sys.exit(run(specification))


if __name__ == "__main__":
    main()
