"""The environment of every test: no AWS account, and nothing of this machine's AWS settings."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import settings

_home = tempfile.mkdtemp(prefix="lakehouse-local-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)

for _name in [name for name in os.environ if name.startswith(("AWS_", "DBT_"))]:
    del os.environ[_name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": f"{_home}/aws-config",
    "AWS_SHARED_CREDENTIALS_FILE": f"{_home}/aws-credentials",
}

# `--hypothesis-profile quick`, as `make test` has it, and thorough, as `make test-all`.
for _profile, _examples in {"quick": 20, "thorough": 200}.items():
    settings.register_profile(_profile, max_examples=_examples)
