# SPDX-License-Identifier: Apache-2.0
"""`memir acquire ssm`."""

from __future__ import annotations

import pytest

from memir.acquire.settings import Shared
from memir.acquire.transports.ssm.options import SsmOptions
from memir.acquire.transports.ssm.transport import SsmTransport
from memir.errors import UsageError


def test_instances(aws: None) -> None:
    with pytest.raises(UsageError, match="SSM carries no image by itself"):
        SsmOptions().check(Shared(to="folder"))
    with pytest.raises(UsageError, match="which instance"):
        SsmOptions().names(Shared())
    own = SsmOptions(instance_id=["i-1", "i-2", "i-1"], ssm_endpoint="http://127.0.0.1:1")
    shared = Shared(to="s3://bucket/case", region="eu-west-1")
    own.check(shared)
    assert (own.names(shared), own.node_hash()) == (["i-1", "i-2"], False)
    transport = own.transport("i-2", shared)
    assert isinstance(transport, SsmTransport)
    assert transport.instance_id == "i-2"
