# SPDX-License-Identifier: Apache-2.0
"""docs/reference/questions.md, from memir/case/ask: run `python -m documentation.questions`."""

from __future__ import annotations

import sys

from memir.case.questions import Question, questions

_HEAD = """# Forty questions

Made by `python -m documentation.questions` from the files in memir/case/ask; edit those.

What a responder asks a node's RAM, and the one command that answers it. CASE is what `memir analyze IMAGE -o CASE`
wrote; `memir ask CASE 13` takes the number too. The tests ask each of an intruded node's case and compare the answer
with what the intruder is known to have done, or run the command; *needs* is what RAM alone does not give.

| # | question | command | needs | what it does not answer |
|---|---|---|---|---|
"""
_COMMANDS = {
    "other-nodes": "memir findings CASE CASE...", "timeline": "memir timeline CASE --format timesketch",
    "evidence": "memir verify CASE",
}  # fmt: skip
"""Of the questions that no table answers."""
_NEEDS = {
    "sessions": "`--logs` with the Kubernetes audit log", "hits": "`--rules`, or a hunt into the case",
}  # fmt: skip
_CLUSTER = {
    "ram-against-api": "`--cluster`", "what-secrets-open": "`--cluster`, for RBAC",
    "same-workload": "`--cluster`, for other nodes",
}  # fmt: skip
OPEN = {
    4: "content of images: only names and digests are compared",
    6: "the rest of the fleet without `--cluster`: this node's pods alone",
    8: "parents of processes that have ended, unless something in RAM still names them",
    12: "an exec whose processes have all ended leaves nothing in RAM",
    13: "execs past the API server: by containerd's or the kubelet's socket, `nsenter`, SSH",
    15: "code written over a file's own cached pages",
    22: "connections that neither sockets nor conntrack keep; DNS answers",
    23: "requests that have ended without a trace in conntrack; packet filters (iptables, nftables, eBPF) are not read",
    24: "files whose inode has left the cache",
    25: "pages that are neither cached nor mapped: holes are told",
    27: "files that are not cached",
    28: "commands of shells that kept no history and have ended",
    31: "whether a token was revoked: only its own time, and whether its pod is there",
    32: "IAM policies of a role; RBAC without `--cluster`",
    36: "changes that are undone while the image is taken, firmware, hypervisor",
    38: "a verdict: findings with severity, proof and doubt, for a person to judge",
    39: "who touched a file that was not acquired by memir",
    40: "decisions: the plan is proposed, and run step by step by who approves it",
}
"""What stays open, by number; nothing for those that are answered as far as RAM holds them."""


def command_of(question: Question) -> str:
    """The one command that answers it."""
    if question.name in _COMMANDS:
        return _COMMANDS[question.name]
    return " ".join(["memir ask CASE", question.name, *(f"{value}=..." for value in question.values)])


def reference() -> str:
    """The whole page as Markdown, with a final newline."""
    lines = []
    for question in questions().values():
        needs = [words for table, words in _NEEDS.items() if table in question.tables]
        needs += [_CLUSTER[question.name]] if question.name in _CLUSTER else []
        needs += ["the cases of the other nodes"] if question.name == "other-nodes" else []
        cells = (
            question.number, question.text.replace("|", "\\|"), f"`{command_of(question)}`", "; ".join(needs),
            OPEN.get(question.number, ""),
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
