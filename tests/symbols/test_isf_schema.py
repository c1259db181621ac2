# SPDX-License-Identifier: Apache-2.0
"""Symbol files of whole kernels against volatility3's schema."""

from __future__ import annotations

import os

import jsonschema
import pytest
from volatility3 import schemas

from memir.symbols import btf
from memir.symbols.isf_make import IsfSource
from tests.symbols.btf_real import kernel_btf, real, version
from tests.symbols.isf_small import BANNER, TEXT, small

# the schema takes half a minute for all the types of a kernel: every one in the long run, every tenth in tests/run
STEP = 1 if os.environ.get("CI") else 10


def test_reduced_kernels_pass_the_schema() -> None:
    for case in real()[-1:]:
        document = IsfSource(btf.parse(kernel_btf(case)), {"_text": TEXT, "modules": TEXT}, BANNER).document()
        types = document["user_types"]
        kept = {name: types[name] for name in [*list(types)[:300], "page", "iphdr", "task_struct", "sock"]}
        enums = {name: document["enums"][name] for name in list(document["enums"])[:100]}
        assert schemas.validate(document | {"user_types": kept, "enums": enums}, use_cache=False)
    assert schemas.validate(small().document(), use_cache=False)
    with pytest.raises(jsonschema.ValidationError):
        schemas.validate(small().document() | {"more": 1}, use_cache=False)


@pytest.mark.long("a reduced kernel of each build is held against the schema above")
def test_a_whole_kernel_passes_the_schema() -> None:
    case = next(case for case in real() if version(case) == "6.12")
    document = IsfSource(btf.parse(kernel_btf(case)), {"_text": TEXT}, BANNER).document()
    types = dict(list(document["user_types"].items())[::STEP])
    assert len(types) > 8_000 // STEP
    assert schemas.validate(document | {"user_types": types}, use_cache=False)
