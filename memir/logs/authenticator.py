# SPDX-License-Identifier: Apache-2.0
"""The table `authenticator`: which IAM identity became which user of Kubernetes, by EKS's authenticator.

Lines of logfmt as kubernetes-sigs/aws-iam-authenticator writes them (logrus's text formatter):
time="..." level=info msg="access granted" arn="..." client="..." groups="[...]" method=POST path=/authenticate ...
"""

from __future__ import annotations

from memir.logs.format import TIME, Format
from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    time             timestamp    when, UTC
    level            string       info, warning, error
    message          string       access granted, access denied, ...
    arn              string       IAM identity that asked
    user             string       user of Kubernetes that it became
    uid              string       that user's UID: aws-iam-authenticator:ACCOUNT:ID
    groups           list<string> that user's groups
    client           string       address and port of who asked: the API server
    method           string       method of the request
    path             string       path of the request
    sts              string       STS endpoint that was asked
    access_key       string       access key id that the token was signed with
    error            string       why it was refused
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
_MARK = r'^time="?[0-9]{4}-[0-9T:.Z+-]+"? level=[a-z]+ msg='


def _value(name: str) -> str:
    """The value of a name in the text, its quotes and escapes taken away; null without it."""
    quoted = rf'regexp_extract(text, \'(?:^| ){name}="((?:[^"\\]|\\.)*)"\', 1)'.replace("\\'", "'")
    bare = rf"regexp_extract(text, '(?:^| ){name}=([^\" ]+)', 1)"
    plain = f"replace(replace({quoted}, '\\\"', '\"'), '\\\\', '\\')"
    return f"coalesce(nullif({plain}, ''), nullif({bare}, ''))"


_NAMES = {
    "level": "level", "message": "msg", "arn": "arn", "user": "username", "uid": "uid", "client": "client",
    "method": "method", "path": "path", "sts": "stsendpoint", "access_key": "accesskeyid", "error": "error",
}  # fmt: skip
_SQL = (
    f"select row, {TIME.format(_value('time'))} as time, "
    + ", ".join(f'{_value(theirs)} as "{ours}"' for ours, theirs in _NAMES.items())
    + f", list_filter(string_split(trim({_value('groups')}, '[]'), ' '), lambda part: part <> '') as groups "
    f"from (select row, rtrim(text, chr(10) || chr(13)) as text from lines where regexp_matches(text, '{_MARK}'))"
)
FORMATS = (Format("authenticator", "EKS authenticator log", lambda _: _SQL),)


def read(source: LogSource) -> Frame:
    """Every line. No pod's: IAM identities are people's and nodes'."""
    return source.owned(TABLE, "select number from log where false")


TABLE = Table(
    "authenticator", "Which IAM identity became which user of Kubernetes, by EKS's authenticator.",
    COLUMNS, "row", {"logs": read},
)  # fmt: skip
