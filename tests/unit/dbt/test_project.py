"""Directories that are a dbt project, and the errors of those that are none."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.dbt.project import Project, ProjectError


def test_a_project(tmp_path):
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    project = Project.open(str(tmp_path))
    assert (project.directory, project.name) == (tmp_path, "shop")


def test_the_starters_project(repository):
    assert Project.open(repository / "dbt_models").name == "nyc_taxi"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no dbt_project.yml"),
        ("name: [", "dbt_project.yml is not valid YAML"),
        ("models: {}", "has no name"),
        ("- a\n- b", "has no name"),
    ],
)
def test_directories_that_are_no_project(tmp_path, content, message):
    if content is not None:
        (tmp_path / "dbt_project.yml").write_text(content)
    with pytest.raises(ProjectError, match=message):
        Project.open(tmp_path)


@pytest.mark.parametrize(
    ("project", "message"),
    [
        ("", "project must be a directory, a .zip, .* not ''"),
        (None, "project must be a directory, a .zip, .* not None"),
        ("/nowhere/at/all", "project '/nowhere/at/all' is not a directory on this worker"),
    ],
)
def test_what_is_no_directory(project, message):
    with pytest.raises(ProjectError, match=message):
        Project.open(project)
