#!/bin/sh
# MWAA runs this on every component before Airflow starts, and allows about five minutes. Workers get dbt in an
# environment of its own, because its requirements conflict with Airflow's. lakehouse.yaml names it:
#     dbt:
#       executable: /usr/local/airflow/dbt/bin/dbt
# `lakehouse mwaa bundle` fills in the braces. Containers are ephemeral: this runs at each start.
set -eu

home="${AIRFLOW_HOME:-/usr/local/airflow}"
# s3://bucket/prefix/ of wheels for a network without PyPI; empty for PyPI
wheels="{wheels}"

log() { echo "lakehouse startup.sh: $*"; }

case "${MWAA_AIRFLOW_COMPONENT:-}" in
worker | hybrid) ;; # hybrid: the one container of mw1.micro
*)
    log "nothing to do on ${MWAA_AIRFLOW_COMPONENT:-an unnamed component}"
    exit 0
    ;;
esac

scratch="$(mktemp -d)"
finish() {
    status="$?"
    rm -rf "$scratch"
    if [ "$status" -ne 0 ]; then
        echo "lakehouse startup.sh FAILED with $status: there is no dbt on this worker. The reason is in the lines above;" \
            "tasks of DbtAthenaOperator on this worker will fail." >&2
    fi
}
trap finish EXIT

began="$(date +%s)"
cat >"$scratch/requirements.txt" <<'REQUIREMENTS'
{dbt_requirements}
REQUIREMENTS

# MWAA's settings of pip (install for the user, Airflow's constraints) must not apply to this environment.
export PIP_USER=false
unset PIP_CONSTRAINT PYTHONPATH

if [ -n "$wheels" ]; then
    log "fetching wheels from $wheels"
    python3 - "$wheels" "$scratch/wheels" <<'PYTHON'
import pathlib
import sys

import boto3

bucket, _, prefix = sys.argv[1].removeprefix("s3://").partition("/")
folder = pathlib.Path(sys.argv[2])
folder.mkdir()
s3 = boto3.client("s3")
keys = [
    each["Key"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for each in page.get("Contents", ())
    if each["Key"].endswith(".whl")
]
if not keys:
    sys.exit(f"{sys.argv[1]} holds no wheels")
for key in keys:
    s3.download_file(bucket, key, str(folder / key.rpartition("/")[2]))
print(f"{len(keys)} wheels")
PYTHON
    set -- --no-index --find-links "$scratch/wheels"
else
    set --
fi

rm -rf "$home/dbt"
python3 -m venv "$home/dbt"
"$home/dbt/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary :all: "$@" \
    --requirement "$scratch/requirements.txt"
"$home/dbt/bin/dbt" --version
log "dbt is at $home/dbt/bin/dbt after $(($(date +%s) - began)) s"
