"""Documents in sqlite: order, owners, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lakehouse_local.documents import Documents


def test_documents_are_kept_in_their_order_and_by_their_owner(tmp_path):
    documents = Documents(tmp_path / "deep" / "d.sqlite")
    for n in range(3):
        documents.put("run", f"r{n}", {"n": n}, "job")
    documents.put("run", "other", {"n": 9}, "another job")
    documents.put("run", "r0", {"n": 10})  # keeps its position and its owner
    assert documents.get("run", "r0") == {"n": 10}
    assert documents.get("run", "gone") is None
    assert [each["n"] for each in documents.all("run")] == [10, 1, 2, 9]
    newest = documents.newest("run", "job", limit=2)
    assert [each["n"] for _, each in newest] == [2, 1]
    assert [each["n"] for _, each in documents.newest("run", "job", before=newest[-1][0])] == [10]
    documents.delete("run", "r1")
    documents.delete_owned("run", "another job")
    assert [each["n"] for each in documents.all("run")] == [10, 2]
    documents.close()
    again = Documents(tmp_path / "deep" / "d.sqlite")
    assert [each["n"] for each in again.all("run")] == [10, 2]
    again.close()


def test_threads_may_write_at_once(tmp_path):
    documents = Documents(tmp_path / "d.sqlite")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: documents.put("k", str(n), {"n": n}), range(100)))
    assert sorted(each["n"] for each in documents.all("k")) == list(range(100))
    documents.close()
