"""Crawlers: definitions, crawls, and the tables that they write to the Data Catalog."""

from __future__ import annotations

import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse_local.glue.crawlers import crawl as crawl_module
from lakehouse_local.glue.crawlers.api import Crawlers
from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.http.wire import AwsError

from ..conftest import Calls, wait_for

INHERIT = json.dumps({"Version": 1.0, "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}})
COMBINE = json.dumps({"Version": 1.0, "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"}})
MERGE_NEW = json.dumps({"Version": 1.0, "CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}}})
DELETE = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DELETE_FROM_DATABASE"}
LOG = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}


@pytest.fixture
def service(state_dir, store, catalog, logs):
    service = Crawlers(state_dir, store, catalog, logs.write, lambda *_: RunIdentity({}))
    yield service
    service.close()


@pytest.fixture
def calls(service):
    return Calls(service)


@pytest.fixture
def create(calls):
    """Create a crawler of one or more paths."""

    def create(*paths, name="crawler", **settings):
        targets = {"S3Targets": [path if isinstance(path, dict) else {"Path": path} for path in paths]}
        calls.CreateCrawler(**{"Name": name, "Role": "r", "DatabaseName": "lake", "Targets": targets, **settings})

    return create


@pytest.fixture
def put(store):
    """Write a Parquet object of columns: `put("trips/a.parquet", id=[1])`."""

    def put(key, **columns):
        path = store.root / "data" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    return put


@pytest.fixture
def crawl(calls):
    """Run the crawler to its end; return the crawl."""

    def crawl(name="crawler"):
        calls.StartCrawler(Name=name)
        wait_for(lambda: calls.GetCrawler(Name=name)["Crawler"]["State"] == "READY")
        return calls.ListCrawls(CrawlerName=name)["Crawls"][0]

    return crawl


def summary(crawl):
    return {
        (kind, action): (found["Count"], found["Details"]["names"])
        for kind, text in json.loads(crawl["Summary"]).items()
        for action, found in json.loads(text).items()
    }


def names(catalog):
    return [table["Name"] for table in catalog.get_tables("lake")]


def columns(table):
    return {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}


class TestTables:
    def test_partitioned_parquet(self, calls, create, put, crawl, catalog, logs):
        for month in ("01", "02"):
            put(
                f"trips/service=yellow/year=2024/month={month}/a.parquet",
                id=[1, 2],
                fee=pa.array([1, 2], pa.decimal128(9, 2)),
            )
        create("s3://data/trips/", Configuration=INHERIT)
        record = crawl()
        assert record["State"] == "COMPLETED"
        assert record["StartTime"] <= record["EndTime"]
        assert summary(record) == {
            ("TABLE", "ADD"): (1, ["trips"]),
            ("PARTITION", "ADD"): (2, ["trips['yellow', '2024', '01']", "trips['yellow', '2024', '02']"]),
        }
        table = catalog.get_table("lake", "trips")
        assert columns(table) == {"id": "bigint", "fee": "decimal(9,2)"}
        assert table["PartitionKeys"] == [{"Name": name, "Type": "string"} for name in ("service", "year", "month")]
        assert table["StorageDescriptor"]["Location"] == "s3://data/trips/"
        assert table["TableType"] == "EXTERNAL_TABLE"
        parameters = table["Parameters"]
        assert (parameters["classification"], parameters["recordCount"], parameters["objectCount"]) == (
            "parquet",
            "4",
            "2",
        )
        assert parameters["UPDATED_BY_CRAWLER"] == "crawler"
        partitions = catalog.get_partitions("lake", "trips", "month = '02'")
        assert [each["Values"] for each in partitions] == [["yellow", "2024", "02"]]
        assert partitions[0]["StorageDescriptor"]["Location"] == "s3://data/trips/service=yellow/year=2024/month=02/"
        prefix = f"[{record['CrawlId']}] "
        assert record["MessagePrefix"] == record["CrawlId"]
        assert all(line[3].startswith(prefix) and line[1:3] == ("/aws-glue/crawlers", "crawler") for line in logs.lines)

    def test_nothing_changes_when_nothing_changed(self, create, put, crawl, catalog):
        put("trips/year=2024/a.parquet", id=[1])
        create("s3://data/trips/")
        crawl()
        version = catalog.get_table("lake", "trips")["VersionId"]
        assert summary(crawl()) == {}
        assert catalog.get_table_versions("lake", "trips")[0]["VersionId"] >= version
        assert len(catalog.get_table_versions("lake", "trips")) == 1

    @pytest.mark.parametrize(
        ("keys", "files"),
        [
            ((), ["t/a.parquet", "t/b.parquet"]),
            (("partition_0",), ["t/2023/a.parquet", "t/2024/b.parquet"]),
            (("year", "partition_1"), ["t/year=2023/x/a.parquet", "t/year=2024/y/b.parquet"]),
            (("year",), ["t/Year=2023/a.parquet", "t/YEAR=2024/b.parquet"]),
            (("partition_0",), ["t/year=2023/a.parquet", "t/month=1/b.parquet"]),
            (("k", "partition_1"), ["t/k=1/k=2/a.parquet", "t/k=1/k=3/b.parquet"]),
        ],
    )
    def test_partition_keys_of_folders(self, create, put, crawl, catalog, keys, files):
        for file in files:
            put(file, id=[1])
        create("s3://data/t")
        crawl()
        assert tuple(key["Name"] for key in catalog.get_table("lake", "t")["PartitionKeys"]) == keys

    def test_partition_values_are_unescaped(self, create, put, crawl, catalog):
        put("t/at=2024-01-01 00%3A00/a.parquet", id=[1])
        create("s3://data/t")
        crawl()
        assert catalog.get_partitions("lake", "t")[0]["Values"] == ["2024-01-01 00:00"]

    def test_folders_of_different_objects_are_separate_tables(self, create, put, crawl, catalog, store):
        put("lake/a/1.parquet", id=[1])
        put("lake/b/1.parquet", other=["x"], more=[1.5])
        store.write("s3://data/lake/notes.csv", b"id,x\n1,2\n")
        create("s3://data/lake/", TablePrefix="Raw_")
        crawl()
        assert names(catalog) == ["raw_a", "raw_b", "raw_notes_csv"]
        assert catalog.get_table("lake", "raw_notes_csv")["StorageDescriptor"]["Location"] == "s3://data/lake/notes.csv"

    def test_folders_with_too_few_common_columns_are_separate_tables(self, create, put, crawl, catalog):
        put("t/k=1/a.parquet", a=[1], b=[1], c=[1])
        put("t/k=2/a.parquet", a=[1])
        create("s3://data/t/", name="apart")
        create("s3://data/t/", name="together", Configuration=COMBINE, TablePrefix="all_")
        crawl("apart")
        crawl("together")
        assert names(catalog) == ["all_t", "k_1", "k_2"]
        assert list(columns(catalog.get_table("lake", "all_t"))) == ["a", "b", "c"]

    def test_schemas_of_files_are_merged(self, create, put, crawl, catalog):
        put("t/k=1/a.parquet", a=pa.array([1], pa.int32()), b=["x"], c=[1], d=[1])
        put("t/k=2/a.parquet", a=[1], b=["x"], c=[1], d=[1], e=[1.5])
        create("s3://data/t/")
        crawl()
        assert columns(catalog.get_table("lake", "t")) == {
            "a": "bigint",
            "b": "string",
            "c": "bigint",
            "d": "bigint",
            "e": "double",
        }
        assert "e" not in columns(catalog.get_partitions("lake", "t")[0])  # without InheritFromTable it has its own

    def test_csv_with_a_header(self, create, crawl, catalog, store):
        store.write("s3://data/zones/z.csv", b"LocationID,Zone\n1,Newark\n")
        create("s3://data/zones/")
        crawl()
        table = catalog.get_table("lake", "zones")
        assert columns(table) == {"locationid": "bigint", "zone": "string"}
        assert table["Parameters"]["skip.header.line.count"] == "1"
        assert table["StorageDescriptor"]["SerdeInfo"]["Parameters"] == {"field.delim": ","}

    def test_a_single_object_as_target(self, create, put, crawl, catalog):
        put("one/a.parquet", id=[1])
        put("one/b.parquet", id=[1])
        create("s3://data/one/a.parquet")
        crawl()
        assert catalog.get_table("lake", "a_parquet")["StorageDescriptor"]["Location"] == "s3://data/one/a.parquet"
        assert catalog.get_table("lake", "a_parquet")["Parameters"]["objectCount"] == "1"

    def test_a_whole_bucket(self, create, put, crawl, catalog):
        put("a.parquet", id=[1])
        create("s3://data")
        crawl()
        assert names(catalog) == ["data"]

    def test_objects_that_are_no_data_are_left_out(self, create, put, crawl, catalog, store, logs):
        put("t/a.parquet", id=[1])
        for name, content in (
            ("_SUCCESS", b""),
            ("_committed", b"x,y\n1,2\n"),
            (".hidden", b"x"),
            ("bad.parquet", b"PAR1?"),
        ):
            store.write(f"s3://data/t/{name}", content)
        create("s3://data/t/", "s3://data/empty/")
        assert summary(crawl()) == {("TABLE", "ADD"): (1, ["t"])}
        assert names(catalog) == ["t"]
        output = "\n".join(line for *_, line in logs.lines)
        assert "s3://data/t/bad.parquet could not be classified and is left out: it begins as parquet" in output
        assert "No objects to classify under s3://data/empty/" in output

    def test_exclusions_and_samples(self, create, put, crawl, catalog):
        put("t/keep/a.parquet", id=[1])
        put("t/keep/b.parquet", id=[1])
        put("t/tmp/c.parquet", id=[1])
        create({"Path": "s3://data/t/", "Exclusions": ["tmp/**"], "SampleSize": 1})
        crawl()
        assert catalog.get_table("lake", "t")["Parameters"]["objectCount"] == "1"
        assert [each["Values"] for each in catalog.get_partitions("lake", "t")] == [["keep"]]

    def test_a_name_that_another_location_has(self, create, put, crawl, catalog):
        put("one/t/a.parquet", id=[1])
        put("two/t/a.parquet", other=[1])
        create("s3://data/one/t/", "s3://data/two/t/")
        crawl()
        crawl()
        first, second = names(catalog)
        assert (first, second[:2], len(second)) == ("t", "t_", 34)


class TestChanges:
    def test_new_columns_update_table_and_partitions(self, create, put, crawl, catalog):
        put("t/k=1/a.parquet", a=[1], b=[1], c=[1])
        create("s3://data/t/", Configuration=INHERIT)
        crawl()
        put("t/k=2/a.parquet", a=[1], b=[1], c=[1], d=[1])
        assert summary(crawl()) == {
            ("TABLE", "UPDATE"): (1, ["t"]),
            ("PARTITION", "ADD"): (1, ["t['2']"]),
            ("PARTITION", "UPDATE"): (1, ["t['1']"]),
        }
        assert all("d" in columns(each) for each in catalog.get_partitions("lake", "t"))

    def test_log_leaves_the_table_and_adds_partitions(self, create, put, crawl, catalog):
        put("t/k=1/a.parquet", a=[1], b=[1], c=[1])
        create("s3://data/t/", SchemaChangePolicy=LOG)
        crawl()
        put("t/k=2/a.parquet", a=[1], b=[1], c=[1], d=[1])
        (store_file := put("t/k=1/a.parquet", a=[1], b=[1], c=[1])).unlink()
        assert summary(crawl()) == {("PARTITION", "ADD"): (1, ["t['2']"])}
        assert list(columns(catalog.get_table("lake", "t"))) == ["a", "b", "c"]
        assert len(catalog.get_partitions("lake", "t")) == 2
        assert not store_file.exists()

    def test_merge_new_columns_keeps_types(self, create, put, crawl, catalog):
        put("t/a.parquet", a=pa.array([1], pa.int32()), b=[1], c=[1])
        create("s3://data/t/", Configuration=MERGE_NEW)
        crawl()
        put("t/a.parquet", a=["text"], b=[1], c=[1], d=[1])
        crawl()
        assert columns(catalog.get_table("lake", "t")) == {"a": "int", "b": "bigint", "c": "bigint", "d": "bigint"}

    def test_tables_and_partitions_without_objects_are_deleted(self, create, put, crawl, catalog):
        file = put("t/k=1/a.parquet", a=[1])
        put("t/k=2/a.parquet", a=[1])
        other = put("u/a.parquet", a=[1])
        put("mine/a.parquet", a=[1])
        catalog.create_table("lake", {"Name": "mine", "StorageDescriptor": {"Location": "s3://data/u/mine/"}})
        create("s3://data/t/", "s3://data/u/", SchemaChangePolicy=DELETE)
        crawl()
        file.unlink()
        other.unlink()
        assert summary(crawl()) == {("TABLE", "DELETE"): (1, ["u"]), ("PARTITION", "DELETE"): (1, ["t['1']"])}
        assert names(catalog) == ["mine", "t"]

    def test_a_table_without_objects_is_deprecated_by_default_and_may_come_back(self, create, put, crawl, catalog):
        file = put("t/a.parquet", a=[1])
        create("s3://data/t/")
        crawl()
        file.unlink()
        crawl()
        assert catalog.get_table("lake", "t")["Parameters"]["DEPRECATED_BY_CRAWLER"].isdigit()
        assert summary(crawl()) == {}
        put("t/a.parquet", a=[1])
        crawl()
        assert "DEPRECATED_BY_CRAWLER" not in catalog.get_table("lake", "t")["Parameters"]

    def test_new_folders_only(self, create, put, crawl, catalog):
        put("t/k=1/a.parquet", a=[1], b=[1], c=[1])
        create("s3://data/t/", SchemaChangePolicy=LOG, RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"})
        crawl()
        put("t/k=1/b.parquet", a=[1], b=[1], c=[1])
        put("t/k=2/b.parquet", a=[1], b=[1], c=[1])
        assert summary(crawl()) == {("PARTITION", "ADD"): (1, ["t['2']"])}

    def test_a_table_with_other_partition_keys_is_created_again(self, create, put, crawl, catalog):
        put("t/k=1/a.parquet", a=[1]).unlink()
        file = put("t/k=1/a.parquet", a=[1])
        create("s3://data/t/")
        crawl()
        file.unlink()
        put("t/k=1/l=2/a.parquet", a=[1])
        crawl()
        assert [each["Values"] for each in catalog.get_partitions("lake", "t")] == [["1", "2"]]

    def test_members_that_a_user_added_stay(self, create, put, crawl, catalog):
        put("t/a.parquet", a=[1])
        create("s3://data/t/")
        crawl()
        table = catalog.get_table("lake", "t")
        changed = {key: table[key] for key in ("Name", "StorageDescriptor", "TableType", "PartitionKeys")}
        catalog.update_table(
            "lake", {**changed, "Description": "mine", "Parameters": {**table["Parameters"], "own": "1"}}
        )
        put("t/b.parquet", a=[1])
        crawl()
        after = catalog.get_table("lake", "t")
        assert (after["Description"], after["Parameters"]["own"], after["Parameters"]["objectCount"]) == (
            "mine",
            "1",
            "2",
        )


class TestCrawls:
    @pytest.mark.parametrize(
        ("settings", "path", "message"),
        [
            ({}, "s3://none/x/", "The specified bucket does not exist"),
            (
                {"DatabaseName": "none"},
                "s3://data/t/",
                "Database does not exist or principal is not authorized to create tables",
            ),
        ],
    )
    def test_a_crawl_that_fails(self, calls, create, put, crawl, settings, path, message):
        put("t/a.parquet", a=[1])
        create(path, **settings)
        record = crawl()
        assert record["State"] == "FAILED"
        assert message in record["ErrorMessage"]
        last = calls.GetCrawler(Name="crawler")["Crawler"]["LastCrawl"]
        assert (last["Status"], last["ErrorMessage"]) == ("FAILED", record["ErrorMessage"])

    def test_one_at_a_time_and_stopping(self, calls, create, put, crawl, monkeypatch):
        put("t/a.parquet", a=[1])
        create("s3://data/t/")
        goes_on = threading.Event()
        read = crawl_module.discovery.read

        def held(*args, **kwargs):
            goes_on.wait(30)
            return read(*args, **kwargs)

        monkeypatch.setattr(crawl_module.discovery, "read", held)
        with pytest.raises(AwsError, match="CrawlerNotRunningException"):
            calls.StopCrawler(Name="crawler")
        calls.StartCrawler(Name="crawler")
        assert calls.GetCrawler(Name="crawler")["Crawler"]["State"] == "RUNNING"
        assert "LastCrawl" not in calls.GetCrawler(Name="crawler")["Crawler"]
        assert calls.ListCrawls(CrawlerName="crawler")["Crawls"][0]["State"] == "RUNNING"
        for operation in ("StartCrawler", "UpdateCrawler", "DeleteCrawler"):
            with pytest.raises(AwsError, match="CrawlerRunningException"):
                getattr(calls, operation)(Name="crawler")
        calls.StopCrawler(Name="crawler")
        with pytest.raises(AwsError, match="CrawlerStoppingException"):
            calls.StopCrawler(Name="crawler")
        goes_on.set()
        wait_for(lambda: calls.GetCrawler(Name="crawler")["Crawler"]["State"] == "READY")
        assert calls.ListCrawls(CrawlerName="crawler")["Crawls"][0]["State"] == "STOPPED"
        assert calls.GetCrawler(Name="crawler")["Crawler"]["LastCrawl"]["Status"] == "CANCELLED"

    def test_listing_with_pages_and_filters(self, calls, create, put, crawl):
        create("s3://data/t/")
        records = [crawl() for _ in range(3)][::-1]
        ids = [record["CrawlId"] for record in records]
        first = calls.ListCrawls(CrawlerName="crawler", MaxResults=2)
        second = calls.ListCrawls(CrawlerName="crawler", MaxResults=2, NextToken=first["NextToken"])
        assert [each["CrawlId"] for each in first["Crawls"] + second["Crawls"]] == ids

        def filtered(field, sign, value):
            found = {"FieldName": field, "FilterOperator": sign, "FieldValue": str(value)}
            return [each["CrawlId"] for each in calls.ListCrawls(CrawlerName="crawler", Filters=[found])["Crawls"]]

        middle = int(records[1]["StartTime"] * 1000)
        assert filtered("START_TIME", "GE", middle) == ids[:2]
        assert filtered("START_TIME", "LT", middle) == ids[2:]
        assert filtered("CRAWL_ID", "EQ", ids[1]) == [ids[1]]
        assert filtered("STATE", "NE", "COMPLETED") == []
        assert filtered("DPU_HOUR", "LT", 1) == ids
        for wrong in (("STATE", "GT", "x"), ("START_TIME", "GT", "noon"), ("NAME", "EQ", "x")):
            with pytest.raises(AwsError, match="InvalidInputException"):
                filtered(*wrong)

    def test_metrics(self, calls, create, put, crawl):
        put("t/a.parquet", a=[1])
        create("s3://data/t/")
        create("s3://data/t/", name="idle")
        record = crawl()
        busy, idle = calls.GetCrawlerMetrics()["CrawlerMetricsList"]
        assert busy["TablesCreated"] == 1
        assert busy["LastRuntimeSeconds"] == pytest.approx(record["EndTime"] - record["StartTime"])
        assert idle["MedianRuntimeSeconds"] == 0
        assert len(calls.GetCrawlerMetrics(CrawlerNameList=["idle"])["CrawlerMetricsList"]) == 1

    def test_a_restart_finds_crawlers_and_ends_what_ran(
        self, calls, create, crawl, service, state_dir, store, catalog, logs
    ):
        create("s3://data/t/")
        done = crawl()
        crawler = service._documents.get("crawler", "crawler")
        service._documents.put("crawler", "crawler", {**crawler, "State": "RUNNING"})
        crashed = {**done, "CrawlId": "crashed", "State": "RUNNING"}
        del crashed["EndTime"]
        service._documents.put("crawl", "crashed", crashed, owner="crawler")
        service.close()
        again = Crawlers(state_dir, store, catalog, logs.write, lambda *_: RunIdentity({}))
        try:
            found = Calls(again).ListCrawls(CrawlerName="crawler")["Crawls"]
            assert [(each["CrawlId"], each["State"]) for each in found] == [
                ("crashed", "FAILED"),
                (done["CrawlId"], "COMPLETED"),
            ]
            assert found[0]["ErrorMessage"] == (
                "The crawl ended because the local AWS was stopped or killed. Start the crawler again."
            )
            assert Calls(again).GetCrawler(Name="crawler")["Crawler"]["State"] == "READY"
        finally:
            again.close()


class TestDefinitions:
    def test_create_get_update_delete(self, calls, create):
        create("s3://data/t/", Tags={"team": "a"}, Schedule="cron(0 6 5 * ? *)", Description="first")
        create("s3://data/u/", name="other")
        found = calls.GetCrawler(Name="crawler")["Crawler"]
        assert (found["State"], found["Version"], found["CrawlElapsedTime"]) == ("READY", 1, 0)
        assert found["Schedule"] == {"ScheduleExpression": "cron(0 6 5 * ? *)", "State": "SCHEDULED"}
        assert found["SchemaChangePolicy"]["DeleteBehavior"] == "DEPRECATE_IN_DATABASE"
        assert "Tags" not in found
        calls.UpdateCrawler(Name="crawler", TablePrefix="x_")
        changed = calls.GetCrawler(Name="crawler")["Crawler"]
        assert (changed["TablePrefix"], changed["Description"], changed["Version"]) == ("x_", "first", 2)
        assert changed["Schedule"] == found["Schedule"]
        assert calls.ListCrawlers()["CrawlerNames"] == ["crawler", "other"]
        assert calls.ListCrawlers(Tags={"team": "a"})["CrawlerNames"] == ["crawler"]
        assert len(calls.GetCrawlers(MaxResults=1)["Crawlers"]) == 1
        batch = calls.BatchGetCrawlers(CrawlerNames=["other", "none"])
        assert ([each["Name"] for each in batch["Crawlers"]], batch["CrawlersNotFound"]) == (["other"], ["none"])
        with pytest.raises(AwsError, match="AlreadyExistsException"):
            create("s3://data/t/")
        calls.DeleteCrawler(Name="crawler")
        assert calls.ListCrawlers()["CrawlerNames"] == ["other"]

    @pytest.mark.parametrize(
        "operation", ["GetCrawler", "UpdateCrawler", "DeleteCrawler", "StartCrawler", "StopCrawler", "ListCrawls"]
    )
    def test_a_crawler_that_is_not_there(self, calls, operation):
        with pytest.raises(AwsError, match="Crawler entry with name none does not exist"):
            getattr(calls, operation)(Name="none", CrawlerName="none")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"Role": ""}, "Role is required"),
            ({"DatabaseName": ""}, "DatabaseName is required"),
            ({"Targets": {}}, "At least one target"),
            ({"Targets": {"S3Targets": [{"Path": "/tmp/x"}]}}, "must be s3://bucket/folder, not '/tmp/x'"),
            (
                {"Targets": {"JdbcTargets": [{"Path": "x"}]}},
                "JdbcTargets, not supported by the local AWS: it crawls S3",
            ),
            ({"Targets": {"S3Targets": [{"Path": "s3://a/b", "SampleSize": 500}]}}, "from 1 to 249"),
            ({"Targets": {"S3Targets": [{"Path": "s3://a/b", "Exclusions": ["{a"]}]}}, "'{a' is not a valid glob"),
            ({"Configuration": "{"}, "not valid JSON"),
            ({"Configuration": "{}"}, '"Version": 1.0'),
            (
                {"Configuration": INHERIT.replace("InheritFromTable", "Inherit")},
                "must be InheritFromTable, not 'Inherit'",
            ),
            ({"Schedule": "0 6 * * *"}, "Schedule must be cron"),
            ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}}, "needs UpdateBehavior LOG"),
            ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVENT_MODE"}}, "S3 events"),
        ],
    )
    def test_refused(self, create, settings, message):
        with pytest.raises(AwsError, match=message) as refused:
            create("s3://data/t/", **settings)
        assert refused.value.code == "InvalidInputException"
