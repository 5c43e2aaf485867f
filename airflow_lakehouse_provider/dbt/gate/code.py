"""The search of hooks, models and the macros that they call for what would act on production past the gate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_lakehouse_provider.dbt.gate.refused import Objection

# Packages of dbt's own and the adapter's, whose macros do as the gate expects of them.
INTERNAL = frozenset({"dbt", "dbt_athena"})
# Calls of the adapter that delete files or change tables at once: read in dbt-athena 1.11's code.
_CALLS = re.compile(
    r"\b(adapter\s*\.\s*(?:clean_up_partitions|clean_up_table|drop_relation|delete_from_s3|delete_from_glue_catalog"
    r"|bulk_delete_from_s3|expire_glue_table_versions|swap_table|drop_glue_database|drop_schema|rename_relation"
    r"|truncate_relation|upload_seed_to_s3|add_lf_tags|add_lf_tags_to_database|apply_lf_grants"
    r"|run_operation_with_potential_multiple_runs)"
    r"|drop_relation|drop_relation_glue|drop_relation_sql|drop_relation_if_exists|drop_schema|drop_glue_database"
    r"|truncate_relation|rename_relation)\s*\("
)
# Statements of hooks that change something which the gate would neither see nor publish.
_WRITES = re.compile(
    r"\b(drop\s+(?:table|view|schema|database)|delete\s+from|truncate\s+table|insert\s+into|merge\s+into|update\s+\S+\s+set"
    r"|create\s+(?:or\s+replace\s+)?(?:external\s+)?(?:table|view|schema|database)|msck\s+repair"
    r"|alter\s+table\s+\S.*?\b(?:drop|add|rename|set\s+location|projection\.)|unload\s*\()",
    re.IGNORECASE | re.DOTALL,
)
_COMMENTS = re.compile(r"\{#.*?#\}|/\*.*?\*/|--[^\n]*", re.DOTALL)


def objections(manifest: Mapping[str, Any], selected: Sequence[str], schemas: Iterable[str]) -> Iterator[Objection]:
    """Yield the hooks and nodes whose code, or a macro that they call, would act on production.

    :param manifest: of production
    :param selected: the nodes that are built
    :param schemas: production's
    """
    nodes, names = manifest["nodes"], _words(schemas)
    for node in nodes.values():
        if node["resource_type"] == "operation":
            subject = f"{_moment(node)} of {node['package_name']}"
            yield from _hook(manifest, subject, node.get("raw_code") or "", node, names)
    for unique_id in selected:
        if (node := nodes.get(unique_id)) is None:
            continue
        config = node.get("config") or {}
        hooked = False
        for moment in ("pre-hook", "post-hook"):
            for hook in config.get(moment) or ():
                text = hook.get("sql") if isinstance(hook, Mapping) else str(hook)
                for each in _hook(manifest, f"{moment} of {unique_id}", text or "", node, names):
                    hooked = True
                    yield each
        # dbt counts the macros of its hooks among those of the model.
        if not hooked and (found := _calls(manifest, node.get("raw_code") or "", _macros(node))):
            yield _forbidden(unique_id, found)


def materializations(manifest: Mapping[str, Any]) -> Iterator[Objection]:
    """Yield the materializations of dbt-athena that the project or a package has replaced."""
    wanted = {
        f"materialization_{name}_{kind}"
        for name in ("incremental", "table", "view", "seed")
        for kind in ("athena", "default")
    }
    for macro in (manifest.get("macros") or {}).values():
        if macro["name"] in wanted and macro["package_name"] not in INTERNAL:
            yield Objection(
                f"materialization {macro['name'].split('_')[1]}",
                f"{macro['package_name']} has one of its own ({macro.get('original_file_path')}), and the gate knows "
                "only dbt-athena's",
                "give it another name, or build its models directly (direct=)",
            )


def _hook(
    manifest: Mapping[str, Any], subject: str, text: str, node: Mapping[str, Any], names: re.Pattern[str] | None
) -> Iterator[Objection]:
    # The manifest does not say which macros a node's hook calls, apart from those that its model does.
    called = _called(manifest, text, node["package_name"])
    if found := _calls(manifest, text, called):
        yield _forbidden(subject, found)
        return
    for where, code in _texts(manifest, text, called):
        code = _COMMENTS.sub(" ", code)
        at = f" (in {where})" if where else ""
        if written := _WRITES.search(code):
            statement = " ".join(written[0].split())
            yield Objection(
                subject,
                f"it runs {statement[:60]!r}{at}, whose result the gate would neither test nor publish",
                "move it into a model, or into a task without audit after the publication",
            )
            return
        if names is not None and (named := names.search(code)):
            yield Objection(
                subject,
                f"it names production's schema {named[0]!r}{at} and would act there before the gate",
                "write {{ this }} or {{ target.schema }}, or move it into a task without audit",
            )
            return


def _forbidden(subject: str, found: tuple[str, str]) -> Objection:
    where, call = found
    at = f" in {where}" if where else ""
    return Objection(
        subject,
        f"it calls {call}(){at}, which deletes or changes tables at once, and in an audit schema the files are "
        "production's",
        "remove the call, or build the node directly (direct=)",
    )


def _calls(manifest: Mapping[str, Any], text: str, macros: Sequence[str]) -> tuple[str, str] | None:
    """Return the place and the name of the first call that would delete."""
    for where, code in _texts(manifest, text, macros):
        if found := _CALLS.search(_COMMENTS.sub(" ", code)):
            return where, re.sub(r"\s", "", found[1])
    return None


def _texts(manifest: Mapping[str, Any], text: str, macros: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield a text, and the code of each macro that is reached from it, with the macro's name."""
    yield "", text
    known, pending, found = set(), list(macros), manifest.get("macros") or {}
    while pending:
        name = pending.pop()
        macro = found.get(name)
        if name in known or macro is None or macro["package_name"] in INTERNAL:
            continue
        known.add(name)
        yield name, macro.get("macro_sql") or ""
        pending += _macros(macro)


def _macros(node: Mapping[str, Any]) -> list[str]:
    return list((node.get("depends_on") or {}).get("macros") or ())


def _called(manifest: Mapping[str, Any], text: str, package: str) -> list[str]:
    """Return the macros whose names stand before a bracket in a text: those of its package, and of others by theirs."""
    macros = manifest.get("macros") or {}
    names = set(re.findall(r"\b(\w+)\s*\(", text))
    return sorted(unique_id for unique_id, macro in macros.items() if macro["name"] in names)


def _words(schemas: Iterable[str]) -> re.Pattern[str] | None:
    found = "|".join(re.escape(each) for each in sorted(set(schemas), key=len, reverse=True) if each)
    return re.compile(rf"(?<![\w])(?:{found})(?![\w])", re.IGNORECASE) if found else None


def _moment(node: Mapping[str, Any]) -> str:
    tags = node.get("tags") or ()
    return next((tag for tag in ("on-run-start", "on-run-end") if tag in tags), "hook")
