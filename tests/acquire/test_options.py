# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from memir.acquire.options import Options
from memir.acquire.session import GRACE


def test_what_a_run_does_when_nothing_is_said() -> None:
    options = Options()
    assert (options.tool, options.tool_path, options.format) == ("auto", None, "avml")
    assert (options.grace, options.nice, options.limit_rate, options.max_size) == (GRACE, 10, 0, 0)
    assert (options.node_hash, options.context, options.isolating) == (True, True, False)
    assert (options.sign_key, options.timestamp_url, options.case, options.who) == (None, "", "", "")
