"""A Glue job that runs one dbt command on Athena, started by DbtAthenaOperator(glue_job_name=...).

A Spark job (glueetl) of Glue 5.1, G.1X with 2 workers: only there is Python new enough. The modules that it imports
travel as --extra-py-files, dbt as --additional-python-modules (dbt_models/requirements.txt, joined by commas).
"""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036 - a Python shell job has 3.9
        sys.exit(
            "A Python shell job runs Python 3.9, which is too old for dbt-core 1.11: make it a Spark job (glueetl) of "
            "Glue 5.1, G.1X with 2 workers."
        )
    from airflow_lakehouse_provider.dbt.glue_job import main

    main(sys.argv[1:])
