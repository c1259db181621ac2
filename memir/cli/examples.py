# SPDX-License-Identifier: Apache-2.0
"""What the help of each verb ends with: an example or two, and where a stranger starts."""

from __future__ import annotations

START = """\b
Where to start:
  An image is there: who ran, where, what stands out?
    memir analyze IMAGE -o CASE
  What happened, what now? More: memir ask --list
    memir ask CASE what-happened
  A page for someone else:
    memir report CASE -o report.html
  A node still runs: its RAM, before you isolate it
    memir acquire ssm|ssh|pod --help
  What to do about a pod, written down; changes nothing
    memir plan --pod NAMESPACE/NAME -o plan.yaml
Each verb's --help has an example.
Completion: memir --install-completion"""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "info": ("memir info node.lime",),
    "analyze": (
        "memir analyze node.lime -o case",
        "memir analyze node.lime -o case --cluster pods.json --logs audit.log",
    ),
    "hunt": ("memir hunt node.lime", "memir hunt nodes/ --rules rules.yar -o case --pod shop/web"),
    "acquire": ("memir acquire ssm --instance-id i-0abc1234def567890 --to s3://BUCKET/ir-7/ --dry-run",),
    "acquire ssh": ("memir acquire ssh ec2-user@10.0.0.7 -o evidence --dry-run",),
    "acquire local": ("memir acquire local -o /mnt/usb/evidence",),
    "acquire ssm": ("memir acquire ssm --instance-id i-0abc1234def567890 --to s3://BUCKET/ir-7/ --dry-run",),
    "acquire pod": ("memir acquire pod --node ip-10-0-0-7.ec2.internal -o evidence --dry-run",),
    "acquire close": ("memir acquire close evidence --sign-key sign.pem",),
    "verify": ("memir verify evidence --public-key sign.pub", "memir verify case"),
    "tools": ("memir tools add avml", "memir tools build avml", "memir tools list"),
    "tools list": ("memir tools list",),
    "tools add": ("memir tools add avml", "memir tools add lime.ko"),
    "tools verify": ("memir tools verify",),
    "tools build": ("memir tools build avml --machine aarch64",),
    "symbols": ("memir symbols node.lime -o isf/linux/kernel.json",),
    "run": ("memir run linux.sockstat node.lime", "memir run --list"),
    "plugins-path": ('vol -p "$(memir plugins-path)" -f node.lime linux.pods',),
    "extract": ("memir extract files node.lime -o out --pod shop/web",),
    "extract files": ("memir extract files node.lime -o out --pid 221 --deleted",),
    "extract memory": ("memir extract memory node.lime -o out --pid 221",),
    "extract container": ("memir extract container node.lime --container d95da8 -o out",),
    "pages": ("memir pages node.lime --svg ram.svg",),
    "findings": ("memir findings case --severity high", "memir findings --explain miner"),
    "timeline": ("memir timeline case --pod shop/web --format csv",),
    "report": ("memir report case -o report.html", "memir report case --format list"),
    "snapshot": ("memir snapshot -o view", "memir snapshot --print-role"),
    "collect": ("memir collect pod shop/web-7d4b9c6f5-abcde -o evidence --dry-run",),
    "collect close": ("memir collect close evidence --sign-key sign.pem",),
    "collect ecs": ("memir collect ecs shop 0123456789abcdef0123456789abcdef -o evidence --dry-run",),
    "collect fargate": ("memir collect fargate shop/web-7d4b9c6f5-abcde -o evidence --dry-run",),
    "collect pod": ("memir collect pod shop/web-7d4b9c6f5-abcde -o evidence --dry-run",),
    "fetch-logs": ("memir fetch-logs --cluster-name shop --from 2026-11-23T20:00 -o logs/",),
    "plan": ("memir plan --pod shop/web --evidence s3://BUCKET/ir-7 -o plan.yaml",),
    "respond": (
        "memir respond plan.yaml", "memir respond plan.yaml --execute",
        "memir respond plan.yaml --execute --only acquire",
    ),
    "diff": ("memir diff good-case case",),
    "ask": ("memir ask --list", "memir ask case pod-of-pid pid=221"),
    "query": (
        'memir query case "select pid, comm, pod_name from processes where exe_deleted"',
        "memir query case --list",
    ),
}


def epilog(name: str) -> str:
    """What stands below the help of a verb (`acquire ssm` too)."""
    lines = "\n".join(f"  {line}" for line in EXAMPLES[name])
    return f"\b\nExample{'s' if len(EXAMPLES[name]) > 1 else ''}:\n{lines}"
