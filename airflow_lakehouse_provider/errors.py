"""The root of the provider's exceptions."""

from __future__ import annotations


class LakehouseError(Exception):
    """The root of all exceptions that the provider defines.

    Operators and sensors turn them into Airflow's own, by which Airflow decides about a retry. The tree::

        LakehouseError
    """
