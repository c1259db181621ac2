# SPDX-License-Identifier: Apache-2.0
"""From options to runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memir.acquire.launch import (
    cluster_snapshot,
    connection_of,
    evidence_folder,
    file_name,
    make_sink,
    prepare,
    previous_run,
    resumed_sink,
    run_options,
    stamped,
    stored_below,
)
from memir.acquire.resume import PreviousRun
from memir.acquire.settings import Shared
from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.file import FileSink
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.stream import S3StreamSink
from memir.acquire.transports.local import LocalTransport
from memir.acquire.transports.local_options import LocalOptions
from memir.acquire.transports.ssh.options import SshOptions
from memir.errors import ConnectError, UsageError
from memir.evidence.records import ToolRecord

LOCAL = LocalTransport()


def test_a_run_of_several_nodes(tmp_path: Path) -> None:
    shared = Shared(output=tmp_path / "ev", case="C-1", max_size="64G", timestamp_url="http://tsa")
    names, make = prepare(SshOptions(["kim@a", "b"]), shared, ["acquire", "ssh"])
    assert names == ["kim@a", "b"]
    run = make("kim@a", lambda _: None)
    assert (run.evidence, run.options.case, run.options.max_size) == (tmp_path / "ev" / "a", "C-1", 64 << 30)
    assert (run.options.node_hash, run.options.command, run.snapshot) == (True, ["acquire", "ssh"], None)
    assert run.options.timestamp_url == "http://tsa"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tool": "dd"}, "--tool 'dd': write avml, lime or auto"), ({"format": "raw"}, "raw has no addresses"),
        ({"limit_rate": "fast"}, "is no rate"), ({"output": Path("a"), "to": "b"}, "give the evidence folder once"),
        ({"max_size": "big"}, "--max-size 'big' is no size"),
    ],
)  # fmt: skip
def test_wrong_words(change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        prepare(LocalOptions(), Shared(**change))  # type: ignore[arg-type]  # one field of several


def test_the_bucket_s_owner() -> None:
    assert connection_of(Shared(bucket_owner="123456789012")).owner == "123456789012"
    with pytest.raises(UsageError, match=r"--bucket-owner 'me': write the account's 12 digits"):
        connection_of(Shared(bucket_owner="me"))


def test_lime_writes_lime_only() -> None:
    assert run_options(LocalOptions(), Shared(tool="lime"), ()).format == "lime"


def test_folders() -> None:
    assert evidence_folder(Shared(output=Path("x")), "a", many=False) == Path("x")
    assert evidence_folder(Shared(to="x"), "kim@a:b", many=True) == Path("x/a_b")
    assert evidence_folder(Shared(resume=Path("r")), "a", many=False) == Path("r")
    assert evidence_folder(Shared(), "n", many=False).name.startswith("memir-n-20")


def test_names_and_places() -> None:
    assert (file_name("root@n:2222/x", 6), file_name("a b", 9)) == ("root_n", "a_b")
    assert re.fullmatch(r"memir-n-\d{8}-\d{6}", stamped("n").name)
    shared = Shared(object_lock="GOVERNANCE:3", kms_key="k")
    address, options = stored_below(shared, "s3://abc/ir-7/", Path("ev/web"), rate=5.0)
    assert (address.url(), options.lock_mode, options.lock_days, options.kms_key, options.rate) == (
        "s3://abc/ir-7/web", "GOVERNANCE", 3, "k", 5.0,
    )  # fmt: skip


def test_sinks(tmp_path: Path, aws: None) -> None:
    assert isinstance(make_sink(Shared(), tmp_path, LOCAL), FileSink)
    shared = Shared(to="s3://bucket/case", object_lock="COMPLIANCE:7", kms_key="k", region="eu-west-1")
    sink = make_sink(shared, Path("run"), LOCAL)
    assert isinstance(sink, S3DirectSink)
    assert (sink.where, sink.options.lock_days, sink.options.kms_key) == ("s3://bucket/case/run", 7, "k")
    assert connection_of(shared).region == "eu-west-1"
    assert isinstance(make_sink(Shared(to="s3://bucket/x", via="controller"), Path("r"), LOCAL), S3StreamSink)
    for wrong in (Shared(to="s3://bucket/x", via="mail"), Shared(to="s3://bucket/x", object_lock="SOME:1")):
        with pytest.raises(UsageError, match=r"write node or controller|write GOVERNANCE:DAYS"):
            make_sink(wrong, Path("r"), LOCAL)


def test_going_on(tmp_path: Path) -> None:
    assert previous_run(Shared(), ["a"]) is None
    with pytest.raises(UsageError, match="goes on with one node"):
        previous_run(Shared(resume=tmp_path), ["a", "b"])
    with pytest.raises(UsageError, match="leave -o away"):
        previous_run(Shared(resume=tmp_path, output=Path("x")), ["a"])
    meta = SinkMeta("r", "n", "image.lime", "lime", 1, "")
    tool = ToolRecord("avml", "", "lime", ())
    known = PreviousRun(tmp_path, "r", "ssh", "/d", 5, meta, "s3://bucket/case/run/image.lime", "u", 7, tool)
    sink = resumed_sink(Shared(), known)
    assert isinstance(sink, S3DirectSink)
    assert (sink.where, sink.options.resume, sink.options.part_size) == ("s3://bucket/case/run", "u", 7)


def test_the_cluster_is_the_one_that_was_named(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "contexts: [{name: other, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]\n"
    )
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:9"):
        cluster_snapshot(Shared(kubeconfig=str(config), context="other"))(tmp_path / "cluster")
    with pytest.raises(UsageError, match="kubeconfig cannot be used"):
        cluster_snapshot(Shared(kubeconfig=str(config), context="none"))(tmp_path / "cluster")
