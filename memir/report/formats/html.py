# SPDX-License-Identifier: Apache-2.0
"""One HTML file: the incident in plain words, every table, search, timeline; opens from disk without a network."""

from __future__ import annotations

from collections.abc import Iterator

from memir.report.registry import CaseTables, Format, Options


def parts(case: CaseTables, options: Options) -> Iterator[bytes]:
    """The page, part after part."""
    from memir.report.html.document import html_parts

    yield from html_parts(case, severity=options.severity, **options.more)


FORMAT = Format("html", "a page for a browser: the story, every table, search; needs no network", parts, text=False)
