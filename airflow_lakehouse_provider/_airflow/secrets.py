"""Secrets that Airflow is to hide in logs."""

from __future__ import annotations


def mask(*secrets: str) -> None:
    """Have Airflow hide these values wherever the task logs them."""
    try:
        from airflow.sdk.log import mask_secret  # 3.1 and later
    except ImportError:
        try:
            from airflow.sdk.execution_time.secrets_masker import mask_secret  # type: ignore[no-redef]  # 3.0
        except ImportError:
            from airflow.utils.log.secrets_masker import mask_secret  # type: ignore[no-redef]
    for secret in secrets:
        mask_secret(secret)
