"""The crawler operations of the Glue API: definitions, states, the history of crawls."""

from __future__ import annotations

import statistics
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lakehouse_local.documents import Document, Documents
from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.glue.crawlers import definitions, filters
from lakehouse_local.glue.crawlers.catalog_writer import ACTIONS, ADD, DELETE, TABLE, UPDATE, Changes
from lakehouse_local.glue.crawlers.crawl import Crawl, CrawlStopped
from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.glue.logs import WriteLog
from lakehouse_local.http.wire import AwsError, Caller, Handler, epoch, page
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.iam.guarded import guarded, guarded_log
from lakehouse_local.s3.store import ObjectStore

CRAWLER, CRAWL = "crawler", "crawl"
LOG_GROUP = "/aws-glue/crawlers"
SESSION = "AWS-Crawler"  # name of the role session of a crawl, as on AWS

# A crawl's state in ListCrawls -> the status in the crawler's LastCrawl
LAST_STATUS = {"COMPLETED": "SUCCEEDED", "FAILED": "FAILED", "STOPPED": "CANCELLED"}

_DPUS = 2
_SERVER_ENDED = "The crawl ended because the local AWS was stopped or killed. Start the crawler again."


class Crawlers:
    """The crawler operations of AWS Glue.

    :param state_dir: directory of the database with definitions and crawls
    :param store: the objects to crawl
    :param catalog: the Data Catalog to write tables and partitions to
    :param write_log: ``(region, group, stream, lines)`` into CloudWatch Logs
    :param identity: ``(caller, role, session name)`` -> the identity of a crawl that the caller starts
    """

    target = "AWSGlue"

    def __init__(
        self,
        state_dir: Path,
        store: ObjectStore,
        catalog: Catalog,
        write_log: WriteLog,
        identity: Callable[[Caller, str, str], RunIdentity],
    ) -> None:
        self._documents = Documents(Path(state_dir) / "crawlers.sqlite")
        self._store = store
        self._catalog = catalog
        self._write_log = write_log
        self._identity = identity
        self._lock = threading.RLock()
        self._closed = False
        self._running: dict[str, tuple[threading.Thread, threading.Event]] = {}
        self.operations: Mapping[str, Handler] = {
            "CreateCrawler": self.create_crawler,
            "UpdateCrawler": self.update_crawler,
            "GetCrawler": self.get_crawler,
            "GetCrawlers": self.get_crawlers,
            "BatchGetCrawlers": self.batch_get_crawlers,
            "ListCrawlers": self.list_crawlers,
            "DeleteCrawler": self.delete_crawler,
            "StartCrawler": self.start_crawler,
            "StopCrawler": self.stop_crawler,
            "ListCrawls": self.list_crawls,
            "GetCrawlerMetrics": self.get_crawler_metrics,
        }
        for crawler in self._documents.all(CRAWLER):
            if crawler["State"] != "READY":
                for _, crawl in self._documents.newest(CRAWL, crawler["Name"], limit=1):
                    self._end(crawler["Name"], crawl["CrawlId"], "FAILED", Changes(), _SERVER_ENDED)

    def close(self) -> None:
        """Stop every crawl and wait for its end. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running.values())
        for _, stop in running:
            stop.set()
        for thread, _ in running:
            thread.join(30)
        self._documents.close()

    # Crawlers

    def create_crawler(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["Name"]
        crawler = definitions.completed(request)
        with self._lock:
            if self._documents.get(CRAWLER, name):
                raise AwsError("AlreadyExistsException", f"Crawler already exists: {name}")
            now = epoch()
            added = {"State": "READY", "CrawlElapsedTime": 0, "CreationTime": now, "LastUpdated": now, "Version": 1}
            self._documents.put(CRAWLER, name, {**crawler, **added})
        return {}

    def update_crawler(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["Name"]
        with self._lock:
            before = self._crawler(name)
            if before["State"] != "READY":
                raise AwsError("CrawlerRunningException", f"Crawler with name {name} is currently running.")
            # Unlike UpdateJob this changes only the members that it names.
            given = {key: value for key, value in request.items() if value is not None}
            if before.get("Schedule") and "Schedule" not in given:
                given["Schedule"] = before["Schedule"]["ScheduleExpression"]
            crawler = definitions.completed({**before, **given})
            version = {"LastUpdated": epoch(), "Version": before["Version"] + 1}
            self._documents.put(CRAWLER, name, {**crawler, **version})
        return {}

    def get_crawler(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"Crawler": self._crawler_response(self._crawler(request["Name"]))}

    def get_crawlers(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        crawlers, more = page(self._documents.all(CRAWLER), request, limit=1000, default=100)
        return {"Crawlers": [self._crawler_response(crawler) for crawler in crawlers], **more}

    def batch_get_crawlers(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        found = {name: self._documents.get(CRAWLER, name) for name in request["CrawlerNames"]}
        return {
            "Crawlers": [self._crawler_response(crawler) for crawler in found.values() if crawler],
            "CrawlersNotFound": [name for name, crawler in found.items() if not crawler],
        }

    def list_crawlers(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        required = (request.get("Tags") or {}).items()
        crawlers = self._documents.all(CRAWLER)
        names = [crawler["Name"] for crawler in crawlers if required <= (crawler.get("Tags") or {}).items()]
        chosen, more = page(names, request, limit=1000, default=100)
        return {"CrawlerNames": chosen, **more}

    def delete_crawler(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["Name"]
        with self._lock:
            if self._crawler(name)["State"] != "READY":
                raise AwsError("CrawlerRunningException", f"Crawler with name {name} is currently running.")
            self._documents.delete_owned(CRAWL, name)
            self._documents.delete(CRAWLER, name)
        return {}

    # Crawls

    def start_crawler(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["Name"]
        with self._lock:
            crawler = self._crawler(name)
            if crawler["State"] != "READY":
                raise AwsError("CrawlerRunningException", f"Crawler with name {name} has already started")
            crawl_id = str(uuid.uuid4())
            crawl = {
                "CrawlId": crawl_id,
                "State": "RUNNING",
                "StartTime": epoch(),
                "LogGroup": LOG_GROUP,
                "LogStream": name,
                "MessagePrefix": crawl_id,
                "DPUHour": 0.0,
            }
            self._documents.put(CRAWL, crawl_id, crawl, owner=name)
            self._documents.put(CRAWLER, name, {**crawler, "State": "RUNNING"})
            stop = threading.Event()
            identity = self._identity(caller, crawler["Role"], SESSION)
            thread = threading.Thread(
                target=self._crawl,
                args=(crawler, crawl_id, caller.region, stop, identity),
                name=f"crawl-{crawl_id}",
                daemon=True,
            )
            self._running[name] = thread, stop
            thread.start()
        return {}

    def stop_crawler(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["Name"]
        with self._lock:
            crawler = self._crawler(name)
            if crawler["State"] == "READY":
                raise AwsError("CrawlerNotRunningException", f"Crawler with name {name} isn't running")
            if crawler["State"] == "STOPPING":
                raise AwsError("CrawlerStoppingException", f"Crawler with name {name} is already stopping")
            self._documents.put(CRAWLER, name, {**crawler, "State": "STOPPING"})
            self._running[name][1].set()
        return {}

    def list_crawls(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["CrawlerName"]
        self._crawler(name)
        qualifies = filters.compiled(request.get("Filters") or [])
        crawls = [self._crawl_response(crawl) for _, crawl in self._documents.newest(CRAWL, name)]
        chosen, more = page([crawl for crawl in crawls if qualifies(crawl)], request, limit=100, default=20)
        return {"Crawls": chosen, **more}

    def get_crawler_metrics(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        names = request.get("CrawlerNameList") or [crawler["Name"] for crawler in self._documents.all(CRAWLER)]
        chosen, more = page(names, request, limit=1000, default=100)
        return {"CrawlerMetricsList": [self._metrics(name) for name in chosen], **more}

    def _crawler(self, name: str) -> Document:
        crawler = self._documents.get(CRAWLER, name)
        if crawler is None:
            raise AwsError("EntityNotFoundException", f"Crawler entry with name {name} does not exist")
        return crawler

    def _crawl(
        self, crawler: Document, crawl_id: str, region: str, stop: threading.Event, identity: RunIdentity
    ) -> None:
        name = crawler["Name"]
        write_log = guarded_log(self._write_log, identity.judge)

        def write_line(line: str) -> None:
            write_log(region, LOG_GROUP, name, [f"[{crawl_id}] {line}"])

        store, catalog = guarded(self._store, self._catalog, identity.judge)
        crawl = Crawl(crawler=crawler, store=store, catalog=catalog, log=write_line, stopped=stop.is_set)
        state, error = "COMPLETED", None
        try:
            if identity.refusal:
                raise AwsError("InvalidInputException", identity.refusal)
            crawl.run()
        except CrawlStopped:
            state = "STOPPED"
        except (AwsError, AccessDenied) as failure:
            state, error = "FAILED", failure.message
        except Exception as failure:
            state, error = "FAILED", f"Internal Service Exception: {type(failure).__name__}: {failure}"
        try:
            if error:
                write_line(f"ERROR : {error}")
            write_line("BENCHMARK : Crawler has finished running and is in state READY")
        finally:
            with self._lock:
                self._end(name, crawl_id, state, crawl.changes, error)
                self._running.pop(name, None)

    def _end(self, name: str, crawl_id: str, state: str, changes: Changes, error: str | None) -> None:
        with self._lock:
            crawl, crawler = self._documents.get(CRAWL, crawl_id), self._documents.get(CRAWLER, name)
            if crawl is None or crawler is None:
                return
            now = epoch()
            seconds = now - crawl["StartTime"]
            message = {"ErrorMessage": error[:2048]} if error else {}
            crawl.update(State=state, EndTime=now, DPUHour=round(seconds * _DPUS / 3600, 6), **message)
            crawl["Summary"] = changes.summary()
            crawl["Metrics"] = {action: changes.count(TABLE, action) for action in ACTIONS}
            last = {key: crawl[key] for key in ("LogGroup", "LogStream", "MessagePrefix", "StartTime")}
            crawler.update(State="READY", LastCrawl={"Status": LAST_STATUS[state], **message, **last})
            self._documents.put(CRAWL, crawl_id, crawl)
            self._documents.put(CRAWLER, name, crawler)

    def _crawler_response(self, crawler: Document) -> Document:
        """Return a crawler as GetCrawler does: without its tags, which GetTags returns."""
        response = {name: value for name, value in crawler.items() if name != "Tags"}
        if response["State"] != "READY":
            for _, crawl in self._documents.newest(CRAWL, response["Name"], limit=1):
                response["CrawlElapsedTime"] = int((epoch() - crawl["StartTime"]) * 1000)
        return response

    def _crawl_response(self, crawl: Document) -> Document:
        return {name: value for name, value in crawl.items() if name != "Metrics"}

    def _metrics(self, name: str) -> Document:
        ended = [crawl for _, crawl in self._documents.newest(CRAWL, name) if "EndTime" in crawl]
        seconds = [crawl["EndTime"] - crawl["StartTime"] for crawl in ended]
        tables = ended[0].get("Metrics", {}) if ended else {}
        crawler = self._documents.get(CRAWLER, name)
        return {
            "CrawlerName": name,
            "TimeLeftSeconds": 0.0,
            "StillEstimating": bool(crawler and crawler["State"] != "READY"),
            "LastRuntimeSeconds": seconds[0] if seconds else 0.0,
            "MedianRuntimeSeconds": statistics.median(seconds) if seconds else 0.0,
            "TablesCreated": tables.get(ADD, 0),
            "TablesUpdated": tables.get(UPDATE, 0),
            "TablesDeleted": tables.get(DELETE, 0),
        }
