# SPDX-License-Identifier: Apache-2.0
"""What AWS says of an instance, for tests of steps."""

from memir.respond.account import InstanceFacts
from memir.respond.plan import NodeTarget

NODE = NodeTarget("n", "u", "i-0ab", "node-group", "eu-west-1a", "ng")
FACTS = InstanceFacts(
    "i-0ab", "vpc-1", "m5d.large", [("eni-1", ("sg-1", "sg-2"), "interface"), ("eni-2", ("sg-3",), "branch")],
    ("vol-1", "vol-2"), 75, "arn:aws:iam::1:instance-profile/n", "", "ng", False, ("AZRebalance", "Launch"),
)  # fmt: skip
