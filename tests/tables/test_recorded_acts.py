# SPDX-License-Identifier: Apache-2.0
"""What pods did on a recorded node (tests/lab/recorded.py), against what its kernel told in the same minute: files
deleted and replaced, translated and waiting connections, files in flight, BPF programs, a shell, a deleted pod."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memir.tables.inodes import TABLE as INODES
from tests.kernel.recorded import PATHS, records, rows
from tests.lab.pods import API, NODE_IP, WEB
from tests.lab.recorded import COMMANDS, GONE, LAYER, SERVICE

pytestmark = pytest.mark.parametrize("name", PATHS)
WEB_NAME, API_NAME = f"shop/{WEB.name}", f"shop/{API.name}"
SCOPE = f"/{API.cgroup(API.containers[0])}"


def layer(name: str) -> dict[str, dict[str, Any]]:
    """Rows of the container's upper layer that was listed, by path."""
    upper = records(name, "LAYER")[0]["upper"]
    return {
        row["container_path"]: row
        for row in rows(name, "inodes")
        if row["layer"] == "upper" and not row["deleted"] and (row["path"] or "").startswith(upper + "/")
    }


def test_layer_with_whiteouts_and_opaque_directories(name: str) -> None:
    """Every entry of the container's upper layer by its name; one inode is the mark of several deleted names."""
    assert INODES.name == "inodes"
    told = {record["path"]: record for record in records(name, "LAYER")}
    have = layer(name)
    assert set(have) == set(told)
    for path, record in told.items():
        row = have[path]
        shown = (row["kind"], row["mode"], row["size"], row["inode"])
        assert shown == (record["kind"], record["mode"], record["size"], record["inode"]), path
        assert abs(row["mtime"].timestamp() - record["mtime"]) < 1
        assert (row["change"] == "whiteout") == (record["kind"] == "char" and record["device"] == 0), path
        # 5.10 marks each new directory; memir tells of those that hide one of the image
        of_image = any(file.startswith(f"{path[1:]}/") for file in LAYER)
        assert (row["change"] == "opaque") == (record["opaque"] and of_image), path
    marked = [path for path, row in have.items() if row["change"] == "whiteout"]
    assert sorted(marked) == ["/etc/issue", "/etc/os-release", "/opt/old"]
    assert have["/etc/os-release"]["inode"] == have["/opt/old"]["inode"]
    assert have["/opt/data"]["change"] == "opaque" and have["/opt/data/fresh"]["change"] == "created"
    for path in ("/etc/motd", "/srv/mode"):
        assert have[path]["change"] == "modified"
    assert {have[path]["pod_uid"] for path in told} == {API.uid}


def connection(line: str) -> dict[str, Any]:
    """A line of /proc/net/nf_conntrack in the words of the table."""
    words = line.split()
    ends = [word.split("=")[1] for word in words if re.match(r"(src|dst|sport|dport)=", word)]
    names = [f"{way}_{end}" for way in ("orig", "reply") for end in ("src", "dst", "src_port", "dst_port")]
    values = dict(zip(names, ends, strict=True))
    answered = values["reply_src"], values["reply_dst"]
    asked = values["orig_dst"], values["orig_src"]
    nat = {(False, False): None, (True, False): "destination", (False, True): "source", (True, True): "both"}
    return {
        **{key: int(value) if key.endswith("port") else value for key, value in values.items()},
        "protocol": words[2], "state": words[5] if words[2] == "tcp" else None,
        "nat": nat[answered[0] != asked[0], answered[1] != asked[1]], "assured": "[ASSURED]" in line,
        "seen_reply": "[UNREPLIED]" not in line, "timeout": int(words[4]),
    }  # fmt: skip


def test_translated_connections(name: str) -> None:
    told = [connection(record["line"]) for record in records(name, "CONNTRACK")]
    assert sorted(str(each["nat"]) for each in told) == ["None", "None", "both", *["destination"] * 3]
    have = [row for row in rows(name, "conntrack") if row["state"] != "ended"]
    assert len(have) == len(told)
    for line in told:
        key = "protocol", "orig_src", "orig_src_port", "orig_dst", "orig_dst_port"
        (row,) = [row for row in have if all(row[word] == line[word] for word in key)]
        assert {word: row[word] for word in line if word in row and word not in ("timeout", "state")} == {
            word: value for word, value in line.items() if word in row and word not in ("timeout", "state")
        }
        assert line["state"] in (None, row["state"])
        assert ("assured" in row["status"], "seen_reply" in row["status"]) == (line["assured"], line["seen_reply"])
        assert 0 <= line["timeout"] - row["timeout"] < 120  # seconds went by before the machine was stopped
        assert row["to_name"] == WEB_NAME and row["to_pod_uid"] == WEB.uid
    by_source = {row["orig_src"]: row["from_name"] for row in have if row["orig_dst"] == SERVICE}
    assert by_source == {API.ip: API_NAME, WEB.ip: WEB_NAME, NODE_IP: "ip-10-0-1-23.eu-west-1.compute.internal"}


def test_sockets_name_who_is_behind_a_service(name: str) -> None:
    have = {row["inode"]: row for row in rows(name, "sockets")}
    calls = records(name, "TOLD", "connect") + records(name, "TOLD", "datagram")
    assert len(calls) == 6
    for call in calls:
        row = have[call["inode"]]
        assert (row["remote"], row["remote_port"], row["local_port"]) == (call["to"], call["port"], call["from_port"])
        assert (row["remote_name"], row["remote_pod_uid"], row["remote_kind"]) == (WEB_NAME, WEB.uid, "pod")
    listening = {call["port"]: have[call["inode"]] for call in records(name, "TOLD", "listen")}
    assert {row["state"] for row in listening.values()} == {"LISTEN"}
    served = [row for row in rows(name, "sockets") if row["local_port"] == 7000 and row["state"] == "ESTABLISHED"]
    # what came through its own service has the node's address, and is the pod's own all the same
    assert sorted(row["remote_name"] for row in served) == sorted(
        [API_NAME, WEB_NAME, "ip-10-0-1-23.eu-west-1.compute.internal"]
    )


def test_connections_that_nobody_has_accepted(name: str) -> None:
    asked = [call["from_port"] for call in records(name, "TOLD", "connect") if call["port"] == 7001]
    (told,) = [call for call in records(name, "TOLD", "listen") if call["port"] == 7001]
    waiting = [row for row in rows(name, "sockets") if row["accepted"] is False]
    (listener,) = [row for row in rows(name, "sockets") if row["inode"] == told["inode"]]
    assert sorted(row["remote_port"] for row in waiting) == sorted(asked) and len(asked) == 2
    assert listener["rx_queue"] == 2
    for row in waiting:
        assert (row["inode"], row["fd"], row["rx_queue"]) == (None, None, 18)  # of no struct socket yet; the request
        assert (row["pids"], row["pod_uid"], row["container_name"]) == (listener["pids"], WEB.uid, "web")


def test_files_in_flight(name: str) -> None:
    (told,) = records(name, "TOLD", "flight")
    sent = {row["kind"]: row for row in rows(name, "files") if row["use"] == "in flight"}
    holder = next(row for row in rows(name, "files") if row["path"] == f"socket:[{told['holder']}]")
    file = sent["regular"]
    shown = (file["path"], file["inode"], file["deleted"], file["offset"], file["fd"])
    assert shown == (told["path"], told["inode"], True, told["size"], None)
    assert sent["socket"]["path"] == f"socket:[{told['socket']}]" and len(sent) == 2
    assert {row["pid"] for row in sent.values()} == {holder["pid"]}
    assert {row["pod_uid"] for row in sent.values()} == {API.uid}


def test_programs_of_a_container(name: str) -> None:
    """As bpf(2) told: ids, names, tags, maps, and the container's own cgroup to which they are attached."""
    told = records(name, "BPF")
    have = {(row["kind"], row["id"]): row for row in rows(name, "bpf")}
    objects = {(record["kind"], record["id"]): record for record in told if record["kind"] != "attached"}
    assert set(have) == set(objects)
    mine = {key for key, row in have.items() if row["pod_uid"] == API.uid}
    assert len(mine) == 4 and {have[key]["type"] for key in mine} == {"cgroup_skb", "array", "cgroup"}
    at_web = [row for row in have.values() if any(f" eni{WEB.uid[:11]}" in where for where in row["attached"])]
    assert len(at_web) >= 2 and {row["pod_uid"] for row in at_web} == {WEB.uid}
    assert {row["pod_uid"] for key, row in have.items() if key not in mine and row not in at_web} == {None}
    started = set()
    for key, record in objects.items():
        row = have[key]
        assert row["name"] == record.get("name") and len(row["pids"]) == 1
        if key[0] == "program":
            assert (row["tag"], row["uid"]) == (record["tag"], record["uid"])
            assert row["maps"] == [str(number) for number in record["maps"]]
            since = timedelta(microseconds=record["since_boot"] // 1000)
            started.add((row["time"] - since).replace(microsecond=0))
        if key[0] == "link":
            assert row["program_id"] == (record["program"] or None)  # struct_ops tie a map
    points = {0: "inet_ingress", 1: "inet_egress"}
    of_cgroups = {
        ("program", record["id"]): [f"cgroup {points[record['type']]} {record['cgroup']}"]
        for record in told
        if record["kind"] == "attached"
    }
    ties = [key for key in mine if key[0] == "link"]
    assert {key: have[key]["attached"] for key in mine if key[0] != "map"} == {
        **of_cgroups, ties[0]: [f"cgroup inet_ingress {SCOPE}"]
    }  # fmt: skip
    assert max(started) - min(started) <= timedelta(seconds=1)


def test_programs_at_every_other_place(name: str) -> None:
    """tc, tcx, XDP, netkit, network namespaces, sockets, netfilter, probes, tracepoints, trampolines, maps: as their
    loader put them there (tests/lab/small/attach.c), and links as their programs. Older kernels know fewer places."""
    told = {record["program"]: record for record in records(name, "TOLD", "attached")}
    kernel = name.split("-")[1]
    assert len(told) == {"5.10": 26, "6.1": 28, "6.12": 38, "7.2": 38}[kernel]
    if kernel == "5.10":  # there an action of tc is a gap (tests/kernel/test_tc_action)
        told = {number: record for number, record in told.items() if not record["where"].startswith("tc action")}
    every = [row for row in rows(name, "bpf") if row["attached"] and not row["attached"][0].startswith("cgroup ")]
    have = {row["id"]: row for row in every if row["kind"] == "program"}
    nameless = {"perf_event cpu_clock"} if kernel in ("5.10", "6.1") else set()
    assert {number: (row["name"], row["attached"]) for number, row in have.items()} == {
        number: (record["name"], [record["where"].split(" ")[0] if record["where"] in nameless else record["where"]])
        for number, record in told.items()
    }
    links = [row for row in every if row["kind"] == "link"]
    assert {row["type"] for row in links} >= {"xdp", "netns", "raw_tracepoint", "tracing"}
    of_maps = {row["attached"][0] for row in links if row["program_id"] is None}
    assert of_maps == ({"struct_ops tcp_congestion_ops"} if kernel in ("6.12", "7.2") else set())
    tied = [row for row in links if row["program_id"] is not None]
    assert [row["attached"] for row in tied] == [have[row["program_id"]]["attached"] for row in tied]


def without_value(command: str) -> str:
    """A command but for the value of a secret, which memir masks."""
    return command if "SECRET" not in command else command.split("=", maxsplit=1)[0]


def test_commands_of_a_shell(name: str) -> None:
    """In order, each within a second of when it was typed; it would have written none of them to a file."""
    (shell,) = records(name, "TOLD", "shell")
    typed = [record["time"] for record in records(name, "TOLD", "command")]
    have = [row for row in rows(name, "log") if row["origin"] == "history"]
    assert [row["sequence"] for row in have] == list(range(1, len(COMMANDS) + 1))
    assert [without_value(row["text"]) for row in have] == list(map(without_value, COMMANDS))
    assert not any("EXAMPLEKEY" in row["text"] for row in have)
    for row, second in zip(have, typed, strict=True):
        assert abs(row["time"] - datetime.fromtimestamp(second, UTC)) <= timedelta(seconds=2)
        assert (row["pod_uid"], row["container_name"], row["source"]) == (API.uid, "api", "heap of bash")
    assert shell["shell"] > 1 and len(typed) == len(COMMANDS)


def test_deleted_pod(name: str) -> None:
    """Its cgroups are gone from the file system, and memory that is charged to them names it still; kernels that charge
    it to the one above then (7.2) leave nothing of them."""
    (told,) = records(name, "TOLD", "deleted")
    assert told["uid"] == GONE.uid
    (file,) = [row for row in rows(name, "pages") if row["path"] == "/var/log/report/report.bin"]
    assert (file["kind"], file["bytes"] > 1 << 20) == ("tmpfs", True)
    assert [row["pod_uid"] for row in rows(name, "processes") if row["pod_uid"] == GONE.uid] == []
    dying = {row["path"]: row for row in rows(name, "cgroups") if row["dying"]}
    left = [row for row in rows(name, "pages") if row["cgroup_removed"]]
    pods = [row for row in rows(name, "pods") if row["pod_uid"] == GONE.uid]
    if "-7.2-" in name:
        assert (file["cgroup"], file["charged_pod_uid"]) == (told["cgroup"].rpartition("/")[0], None)
        assert (dying, left, pods) == ({}, [], [])
        return
    assert (file["cgroup_removed"], file["charged_pod_uid"]) == (True, GONE.uid)
    assert set(dying) == {told["cgroup"], f"/{GONE.cgroup(GONE.containers[0])}"}
    assert {row["pod_uid"] for row in dying.values()} == {GONE.uid}
    (pod,) = pods
    assert (pod["removed"], pod["qos"], pod["processes"], pod["source"]) == (True, "BestEffort", 0, "removed cgroup")
    assert {row["charged_pod_uid"] for row in left} == {GONE.uid}
