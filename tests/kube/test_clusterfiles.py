# SPDX-License-Identifier: Apache-2.0
"""What the API said, in every shape that people save it in; and shapes that nobody should be hurt by."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.errors import ClusterError
from memir.kube.clusterfiles import cluster_files, documents
from memir.kube.snapshot import load_cluster
from tests.fuzz import cases

CASES = cases(300)
SHAPES = Path(__file__).parent / "data" / "shapes"
MINER = "bbbbbbbb-2222-4222-8222-0123456789ab"
MINER_ID = "9f689dcd459256d6b04293f36f70c33c41329f8324946ad11b042080dd0befdc"
THREE = {MINER, "dddddddd-4444-4444-8444-0123456789ab", "eeeeeeee-5555-4555-8555-0123456789ab"}
LIST: dict[str, Any] = json.loads((SHAPES / "two-nodes.pods.json").read_text())
POD: dict[str, Any] = LIST["items"][0]
TEXT = json.dumps(LIST, indent=1)


@pytest.mark.parametrize("name", ["ndjson.json", "warning-first.json", "powershell.pods.json", "two-nodes.pods.json"])
def test_shapes_that_were_met(name: str) -> None:
    found = load_cluster(SHAPES / name)
    assert set(found.pods) == THREE
    assert found.containers[MINER_ID][0].uid == MINER
    says = ((f"{SHAPES / name}: line 1", "text that is not JSON"),) if name == "warning-first.json" else ()
    assert found.skipped == says


def test_an_id_without_its_runtime() -> None:
    """One odd member of one pod: that pod stays, without the id, and it is said where."""
    found = load_cluster(SHAPES / "bare-id.json")
    assert set(found.pods) == THREE
    assert [one.ids for one in found.pods[MINER].containers] == [()]
    ((place, why),) = found.skipped
    assert place.endswith("bare-id.json: items[0].status.containerStatuses[0].containerID")
    assert why.endswith("is not <runtime>://<id>")


def bare(pod: dict[str, Any]) -> dict[str, Any]:
    """As `kubectl get --raw` writes an item of a PodList: without its kind."""
    return {name: value for name, value in pod.items() if name not in ("kind", "apiVersion")}


WRITTEN: dict[str, bytes] = {
    "utf-8 with a mark": TEXT.encode("utf-8-sig"),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16, big end first": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "utf-16 without a mark": TEXT.encode("utf-16-le"),
    "utf-16, big end first, without a mark": TEXT.encode("utf-16-be"),
    "gzip": gzip.compress(TEXT.encode()),
    "gzip of utf-16": gzip.compress(TEXT.encode("utf-16")),
    "yaml": yaml.safe_dump(LIST).encode(),
    "yaml, a document each": "---\n".join(yaml.safe_dump(pod) for pod in LIST["items"]).encode(),
    "yaml with a comment": b"# kubectl get pods -A -o yaml\n---\n" + yaml.safe_dump(LIST).encode(),
    "ndjson": "\n".join(json.dumps(pod) for pod in LIST["items"]).encode(),
    "several lists": "\n".join(json.dumps({**LIST, "items": [pod]}, indent=2) for pod in LIST["items"]).encode(),
    "a list of lists": json.dumps([{**LIST, "items": [pod]} for pod in LIST["items"]]).encode(),
    "a List in a List": json.dumps({**LIST, "items": [{**LIST, "items": [pod]} for pod in LIST["items"]]}).encode(),
    "PodLists in a List": json.dumps(
        {**LIST, "items": [{"kind": "PodList", "items": [bare(pod)]} for pod in LIST["items"]]}
    ).encode(),
    "warnings before and after": f"Warning: a\nWarning: b\n{TEXT}\nUnable to connect: c\n".encode(),
    "windows line ends": TEXT.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("shape", WRITTEN)
def test_every_shape_gives_the_same_pods(shape: str, tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_bytes(WRITTEN[shape])
    found = load_cluster(tmp_path / "pods.json")
    assert found.pods == load_cluster(SHAPES / "two-nodes.pods.json").pods
    assert len(found.skipped) == (2 if "warnings" in shape else 0)


def test_folder_of_cluster_info_dump(tmp_path: Path) -> None:
    for namespace in ("dev", "other"):
        folder = tmp_path / namespace
        folder.mkdir()
        items = [pod for pod in LIST["items"] if pod["metadata"]["namespace"] == namespace]
        (folder / "pods.json").write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": items}))
        (folder / "events.json").write_text(json.dumps({"kind": "EventList", "items": []}))
        (folder / "x-0").mkdir()
        (folder / "x-0" / "logs.txt").write_text(json.dumps({**POD, "metadata": {**POD["metadata"], "uid": "forged"}}))
    (tmp_path / "nodes.json").write_text(
        json.dumps({"kind": "NodeList", "items": [{"metadata": {"name": "node-b", "uid": "n"}}]})
    )
    found = load_cluster(tmp_path)
    assert (set(found.pods), set(found.nodes)) == (THREE, {"node-b"})


def test_cluster_info_dump_on_one_stream(tmp_path: Path) -> None:
    """A pod's log stands between the objects; a pod writes what it likes into it."""
    forged = json.dumps({**POD, "metadata": {**POD["metadata"], "uid": "forged", "name": "forged"}})
    text = (
        f"{TEXT}\n==== START logs for container miner of pod dev/miner-0 ====\n{forged}\n"
        "==== END logs for container miner of pod dev/miner-0 ====\n"
        "==== START logs for container x of pod other/x-0 ====\n{forged\n"
    )
    (tmp_path / "dump").write_text(text)
    found = load_cluster(tmp_path / "dump")
    assert (set(found.pods), found.skipped) == (THREE, ())


def test_folder_of_must_gather(tmp_path: Path) -> None:
    """namespaces/NAME/core/pods.yaml holds a list, namespaces/NAME/pods/POD/POD.yaml each pod again."""
    top = tmp_path / "quay-io-openshift" / "namespaces"
    for pod in LIST["items"]:
        name = pod["metadata"]["name"]
        folder = top / pod["metadata"]["namespace"]
        (folder / "pods" / name).mkdir(parents=True)
        (folder / "pods" / name / f"{name}.yaml").write_text("---\n" + yaml.safe_dump(pod))
        (folder / "core").mkdir(exist_ok=True)
    (top / "dev" / "core" / "pods.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "PodList", "items": [POD]})
    )
    found = load_cluster(tmp_path)
    assert (set(found.pods), found.skipped) == (THREE, ())


def test_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.json", "a.yaml", "c.json.gz", "d.txt", "E.JSON"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "elsewhere.json").symlink_to("/etc/passwd")
    assert [file.name for file in cluster_files(tmp_path)] == ["E.JSON", "a.yaml", "b.json", "c.json.gz"]
    assert cluster_files(tmp_path / "b.json") == [tmp_path / "b.json"]


def test_one_bad_file_of_a_folder_is_counted(tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_text(TEXT)
    (tmp_path / "more.json").write_text(TEXT[:300])
    found = load_cluster(tmp_path)
    assert set(found.pods) == THREE
    ((place, why),) = found.skipped
    assert place.startswith(str(tmp_path / "more.json"))
    assert "was it saved whole?" in f"{place}: {why}"


def test_documents_and_their_places(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text('noise\n{"a": 1}\n{"b":\n[2]\n')
    values, odd = documents(file)
    assert values == [("document[0].", {"a": 1}), ("document[1].", [2])]
    assert odd == [(f"{file}: line 1", "text that is not JSON"), (f"{file}: line 3", "JSON that is not whole")]
    file.write_text('{"a": 1}')
    assert documents(file) == ([("", {"a": 1})], [])


def tar_of(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("pods.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (gzip.compress(TEXT.encode())[:-30], "gzip: its end is missing"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "not whole gzip"),
        (tar_of(TEXT.encode()), "a tar archive: unpack it"),
        (b"\xff\xfe{\x00\x00", "not UTF-16 at byte 4"),
        (b"a: &a [x]\nkind: [*a, *a]\n", "not JSON at line 1"),
        (b"kind: List\nitems: &a [x]\nmore: [*a, *a]\n", "YAML with aliases"),
        (b"kind: List\nitems: [\n", "not YAML that an API server's tools write"),
        (b"kind: !!python/object/apply:os.system ['id']\n", "not YAML that an API server's tools write"),
        (b"nothing here\n", "not JSON at line 1 column 1"),
        (b"NAMESPACE   NAME   READY\nshop   web   1/1\n", "it is kubectl's table for people: save it with -o json"),
        (b"<html>sign in</html>", "it is HTML, as a proxy or a login page answers"),
    ],
)
def test_refused_with_the_reason(data: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "pods.json"
    file.write_bytes(data)
    with pytest.raises(ClusterError) as caught:
        documents(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_api_server_s_refusal_is_told(tmp_path: Path) -> None:
    """kind Status: alone it is the reason that there are no pods, beside pods it is counted."""
    refusal = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "message": "no rights"}
    (tmp_path / "pods.json").write_text(json.dumps(refusal))
    with pytest.raises(ClusterError, match=r"no pods in it.*the API server's refusal, no object: no rights"):
        load_cluster(tmp_path / "pods.json")
    (tmp_path / "pods.json").write_text(f"{TEXT}\n{json.dumps({**refusal, 'message': ''})}\n")
    snapshot = load_cluster(tmp_path / "pods.json")
    assert set(snapshot.pods) == THREE
    ((place, why),) = snapshot.skipped
    assert place.startswith(str(tmp_path / "pods.json"))
    assert why == "the API server's refusal, no object: Forbidden"


def test_times_in_yaml_stay_text(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("kind: Pod\nstartedAt: 2026-11-22T10:00:00Z\nport: 80\n")
    assert documents(tmp_path / "x.yaml")[0] == [("", {"kind": "Pod", "startedAt": "2026-11-22T10:00:00Z", "port": 80})]


def test_text_that_would_be_read_again_and_again(tmp_path: Path) -> None:
    """Each opening reaches to the file's end before it fails: the work is bounded by the length, not by its square."""
    (tmp_path / "x").write_text("[\n" * 500 + "0,\n" * 200_000 + "x")
    begun = time.process_time()
    with pytest.raises(ClusterError, match="was it saved whole"):
        documents(tmp_path / "x")
    assert time.process_time() - begun < 20


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "pods.json"


@settings(max_examples=CASES, deadline=None)
@given(st.sampled_from(sorted(WRITTEN)), st.integers(0, 1 << 32), st.integers(1, 8))
def test_mutated_files_load_or_say_why(scratch: Path, shape: str, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    data = bytearray(WRITTEN[shape])
    for _ in range(changes):
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(3)] = chance.choice(
            [b"", b"{", b"[", b"\n", b"\0", b"null", b"&a ", b"*a", b"- "]
        )
    scratch.write_bytes(data)
    try:
        assert load_cluster(scratch).pods
    except ClusterError as error:
        assert str(scratch) in str(error)


def test_a_file_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memir.kube.clusterfiles.MAX_FILE", 1 << 20)
    with pytest.raises(ClusterError, match="/dev/zero: endless bytes, more than 1048576"):
        documents(Path("/dev/zero"))


def test_yaml_of_other_documents_names_their_error() -> None:
    """Who reads another document asks for its error and its name in the message."""
    from memir.errors import PlanError
    from memir.kube.clusterfiles import yaml_documents

    assert list(yaml_documents("a: 2026-01-02\n---\n---\n- yes\n", "p", PlanError)) == [{"a": "2026-01-02"}, [True]]
    with pytest.raises(PlanError, match=r"^p: YAML with aliases"):
        list(yaml_documents("a: &x 1\nb: *x\n", "p", PlanError))
