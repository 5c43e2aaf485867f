"""A crawl: reads the objects of the targets, finds tables, writes them to the Data Catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.glue.crawlers import discovery
from lakehouse_local.glue.crawlers.catalog_writer import ACTIONS, ENTITIES, CatalogWriter, Changes, CrawlPolicy
from lakehouse_local.glue.crawlers.definitions import configuration
from lakehouse_local.glue.crawlers.globs import glob
from lakehouse_local.http.wire import AwsError
from lakehouse_local.s3.store import ObjectStore, StoredObject


class CrawlStopped(Exception):
    """The end of a crawl by StopCrawler."""


class Crawl:
    """One run of a crawler.

    :param crawler: the crawler's definition
    :param log: called with each line for the crawl's log
    :param stopped: returns True once the crawl is to end
    """

    def __init__(
        self,
        *,
        crawler: dict[str, Any],
        store: ObjectStore,
        catalog: Catalog,
        log: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._crawler = crawler
        self._store = store
        self._catalog = catalog
        self._log = log
        self._stopped = stopped
        self.changes = Changes()

    def run(self) -> None:
        """Crawl the targets and write the tables.

        :raises CrawlStopped: it was stopped; tables written by then stay
        :raises AwsError: a bucket or the database does not exist
        """
        name, database = self._crawler["Name"], self._crawler["DatabaseName"]
        self._log(f"BENCHMARK : Running Start Crawl for Crawler {name}")
        found = [table for target in self._crawler["Targets"]["S3Targets"] for table in self._find(target)]
        self._log(f"BENCHMARK : Classification complete, writing results to database {database}")
        policy = crawl_policy(self._crawler)
        try:
            self._catalog.get_database(database)
        except AwsError:
            tables = ", ".join(sorted(table.name for table in found)) or "none"
            raise AwsError(
                "EntityNotFoundException",
                f"Database does not exist or principal is not authorized to create tables. "
                f"(Database name: {database}, Table name: {tables})",
            ) from None
        writer = CatalogWriter(catalog=self._catalog, database=database, crawler=name, policy=policy, log=self._log)
        self.changes = writer.changes
        for table in found:
            self._raise_if_stopped()
            writer.write(table, f"{self._crawler.get('TablePrefix', '')}{table.name}".lower())
        writer.delete_unfound([target_folder(target["Path"]) for target in self._crawler["Targets"]["S3Targets"]])
        self._log("BENCHMARK : Finished writing to Catalog")
        for entity in ENTITIES:
            counts = ", ".join(f"{action}: {self.changes.count(entity, action)}" for action in ACTIONS)
            self._log(f"INFO : Run Summary For {entity}: {counts}")

    def _find(self, target: dict[str, Any]) -> list[discovery.FoundTable]:
        path = target["Path"]
        excluded = [glob(pattern) for pattern in target.get("Exclusions") or ()]
        if not path.endswith("/") and self._store.exists(path):
            below = path.rpartition("/")[0] + "/"
            objects = [each for each in self._store.objects(path) if each.uri == path]
        else:
            below = target_folder(path)
            objects = self._store.objects(below)

        def included() -> Any:
            for each in objects:
                self._raise_if_stopped()
                relative = each.uri.removeprefix(below)
                if not any(pattern.fullmatch(relative) for pattern in excluded):
                    yield from self._store.opened([each])

        def log_unclassified(stored: StoredObject, reason: str) -> None:
            self._log(f"WARN : {stored.uri} could not be classified and is left out: {reason}")

        read = discovery.read(included(), below, sample=target.get("SampleSize"), on_unclassified=log_unclassified)
        if not read:
            self._log(f"WARN : No objects to classify under {path}; no table is written for it")
        if below != target_folder(path):
            single = discovery.tables(read, path, discovery.table_name(path.rpartition("/")[2]), combine=True)
            return [discovery.FoundTable(each.name, path, (), each.partitions) for each in single]
        grouping = configuration(self._crawler).get("Grouping") or {}
        combine = grouping.get("TableGroupingPolicy") == "CombineCompatibleSchemas"
        name = discovery.table_name(below.rstrip("/").rpartition("/")[2])
        return discovery.tables(read, below, name, combine=combine)

    def _raise_if_stopped(self) -> None:
        if self._stopped():
            raise CrawlStopped


def target_folder(path: str) -> str:
    """Return a target's folder, ending in a slash."""
    return path if path.endswith("/") else f"{path}/"


def crawl_policy(crawler: dict[str, Any]) -> CrawlPolicy:
    """Return the changes that a crawler's policies and its Configuration allow; the Configuration has precedence."""
    schema = crawler["SchemaChangePolicy"]
    output = configuration(crawler).get("CrawlerOutput") or {}
    return CrawlPolicy(
        update=schema["UpdateBehavior"],
        delete=schema["DeleteBehavior"],
        inherit=(output.get("Partitions") or {}).get("AddOrUpdateBehavior") == "InheritFromTable",
        merge_new=(output.get("Tables") or {}).get("AddOrUpdateBehavior") == "MergeNewColumns",
        new_folders_only=crawler["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_NEW_FOLDERS_ONLY",
    )
