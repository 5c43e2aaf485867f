"""The project as dbt sees it: links, the with_query_comment comment, the packages."""

from __future__ import annotations

import pytest
import yaml

from airflow_lakehouse_provider.dbt.project import Project, ProjectError
from airflow_lakehouse_provider.dbt.workspace import Workspace, with_query_comment


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"

    def project(**files):
        for name, content in {"dbt_project.yml": "name: shop", "models/a.sql": "select 1", **files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        return Project.open(folder)

    return project


def test_the_project_is_linked_and_what_dbt_writes_left_out(project, tmp_path):
    made = project(**{"target/manifest.json": "{}", "logs/dbt.log": "", "packages.yml": "packages: []"})
    workspace = Workspace(made, tmp_path / "work")
    assert sorted(item.name for item in (tmp_path / "work").iterdir()) == ["dbt_project.yml", "models", "packages.yml"]
    assert (tmp_path / "work/models").resolve() == made.directory / "models"
    assert not workspace.lacks_packages


def test_queries_carry_the_invocation(project):
    content = yaml.safe_load(with_query_comment(project()))
    assert "invocation_id=invocation_id" in content["query-comment"]
    assert content["name"] == "shop"


@pytest.mark.parametrize(
    "text", ["name: shop\nquery-comment: mine\n", "name: shop\nquery-comment:\n", "{name: shop}", "name: shop\n...\n"]
)
def test_what_cannot_be_marked_is_left_alone(project, text):
    assert with_query_comment(project(**{"dbt_project.yml": text})) == text


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ({"packages.yml": "packages: [{package: a/b, version: '1'}]"}, True),
        ({"dependencies.yml": "packages: [{package: a/b, version: '1'}]"}, True),
        ({"packages.yml": "packages: [{package: a/b, version: '1'}]", "dbt_packages/b/x": ""}, False),
        ({"packages.yml": "packages: [{git: x}, {git: y}]", "dbt_packages/b/x": ""}, True),
        ({"packages.yml": "packages: []"}, False),
        ({"packages.yml": "packages: [{git: x}]", "dbt_project.yml": "name: shop\npackages-install-path: p",
          "p/b/x": ""}, False),
    ],
)  # fmt: skip
def test_packages_that_are_missing(project, tmp_path, files, lacks):
    assert Workspace(project(**files), tmp_path / "work").lacks_packages == lacks


def test_dbt_deps_reaches_no_packages_but_its_own(project, tmp_path):
    made = project(**{"packages.yml": "packages: [{git: x}]", "dbt_packages/x/y": ""})
    workspace = Workspace(made, tmp_path / "work", installs=True)
    assert not (tmp_path / "work/dbt_packages").exists()
    assert not workspace.lacks_packages


def test_a_package_beside_the_project_is_found_from_the_links(project, tmp_path):
    text = "packages:\n  - local: ../shared\n  - local: '../shared2'\n  - local: inner\n"
    Workspace(project(**{"packages.yml": text}), tmp_path / "work")
    found = yaml.safe_load((tmp_path / "work/packages.yml").read_text())["packages"]
    assert [item["local"] for item in found] == [
        *(str(tmp_path / name) for name in ("shared", "shared2")),
        str(tmp_path / "shop/inner"),
    ]


def test_packages_that_cannot_be_read(project, tmp_path):
    with pytest.raises(ProjectError, match=r"packages\.yml cannot be read"):
        Workspace(project(**{"packages.yml": "packages: ["}), tmp_path / "work")


def test_installed_packages_go_to_the_cache_and_come_back(project, tmp_path):
    made = project(**{"packages.yml": "packages: [{git: x}]"})
    first, kept = Workspace(made, tmp_path / "one"), tmp_path / "kept"
    (tmp_path / "one/dbt_packages/x").mkdir(parents=True)
    (tmp_path / "one/package-lock.yml").write_text("packages: []")
    kept.mkdir()
    first.move_packages(kept)
    second = Workspace(made, tmp_path / "two")
    second.use_packages(kept)
    assert (tmp_path / "two/dbt_packages/x").is_dir()
    assert (tmp_path / "two/package-lock.yml").read_text() == "packages: []"
    assert first.packages_key == second.packages_key
