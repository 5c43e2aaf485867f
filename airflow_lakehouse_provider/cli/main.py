"""The command group. Subcommands are imported only when called: `lakehouse init` works on the base dependencies."""

from __future__ import annotations

import importlib

import click

from airflow_lakehouse_provider import __version__

# command -> (module of this package, its line in `lakehouse --help`)
COMMANDS = {
    "demo": ("demo", "Run months end to end in a real Airflow on a local AWS."),
    "doctor": ("doctor", "Check this machine, AWS permissions and settings."),
    "history": ("history", "List the publications of each month, and what their gates said."),
    "init": ("init", "Write a starter: DAG, lakehouse.yaml, Glue script, dbt project."),
    "local": ("local", "Run the local AWS in the foreground."),
    "mwaa": ("mwaa", "Build and upload the files of Amazon MWAA and the Glue jobs."),
    "publish": ("publish", "Publish a month in spite of tests that failed, naming them and why."),
    "rollback": ("rollback", "Put a former generation of a month back."),
    "sample-data": ("sample_data", "Generate a month of trip records."),
    "sweep": ("sweep", "Remove audit schemas and files of old generations that nobody needs."),
    "upload-raw": ("upload_raw", "Upload a month's raw file to the place that the DAG reads."),
}
LOCAL_EXTRA = "this command needs the extra 'local': pip install 'airflow-lakehouse-provider[local]'"


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = f"{__package__}.{COMMANDS[name][0]}"
        try:
            command = importlib.import_module(module).command
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("airflow_lakehouse_provider"):
                raise
            raise click.ClickException(f"{LOCAL_EXTRA} (missing: {error.name})") from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lakehouse")
def lakehouse() -> None:
    """A monthly lakehouse on AWS from Airflow, and on one machine."""
