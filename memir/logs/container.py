# SPDX-License-Identifier: Apache-2.0
"""The table `container_logs`: what containers wrote, from log files that were collected.

CRI: kubernetes/kubernetes pkg/kubelet/kuberuntime/logs, `TIME STREAM P|F TEXT`, P a part of a line. Docker: json-file.
Whose a file is says its path, as the node has it: /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log and
/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log.
"""

from __future__ import annotations

from memir.logs.format import TIME, Format, JsonFields
from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    time             timestamp    when it was written, UTC
    stream           string       stdout or stderr
    partial          bool         whether the line goes on in the next one of its stream
    text             string       what was written, secrets masked
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
_CRI = r"^([0-9]{4}-[0-9:.T-]{14,32}(?:Z|[+-][0-9]{2}:[0-9]{2})) (stdout|stderr) ([FP])(?::[^ \n]*)?(?: (.*))?"
_SQL = f"""
    select row, {TIME.format("part.time")} as time, part.stream as stream, part.tag = 'P' as partial, part.text as text
    from (select row, regexp_extract(rtrim(text, chr(10) || chr(13)), '{_CRI}', ['time', 'stream', 'tag', 'text'], 's')
          as part from lines where regexp_matches(text, '{_CRI}'))
"""
CRI = Format("container_logs", "container logs (CRI)", lambda _: _SQL)
DOCKER = Format(
    "container_logs", "container logs (Docker)",
    JsonFields(
        {"time": "$.time", "stream": "$.stream", "text": "$.log"},
        where="text is not null and stream in ('stdout', 'stderr') and time is not null",
        cast={"time": TIME, "partial": "not ends_with(text, chr(10))", "text": "rtrim({}, chr(10) || chr(13))"},
    ).sql,
)  # fmt: skip
FORMATS = (CRI, DOCKER)
_POD = "regexp_extract(log, '/([^/_]+)_([^/_]+)_([0-9a-f-]{{32,36}})/([^/]+)/[0-9]+[.]log', {})"
_ID = "regexp_extract(log, '([0-9a-f]{64})', 1)"
_OWNED = f"""
    select number, coalesce(pods.pod_uid, named.pod_uid, inside.pod_uid) as pod_uid,
        coalesce(pods.pod_name, named.pod_name, inside.pod_name) as pod_name,
        coalesce(pods.namespace, named.namespace, inside.namespace) as namespace,
        coalesce(inside.container_name, nullif(container, '')) as container_name,
        coalesce(inside.container_id, one.container_id) as container_id
    from (select number, {_POD.format(1)} as namespace, {_POD.format(2)} as pod_name, {_POD.format(3)} as pod_uid,
            {_POD.format(4)} as container, {_ID} as id from log) as file
    left join pods on pods.pod_uid = file.pod_uid
    left join pods_by_name as named on named.namespace = file.namespace and named.pod_name = file.pod_name
    left join containers as inside on inside.container_id = file.id
    left join containers_by_name as one on one.pod_uid = coalesce(pods.pod_uid, named.pod_uid)
        and one.container_name = file.container
    where coalesce(pods.pod_uid, named.pod_uid, inside.pod_uid) is not null
"""


def read(source: LogSource) -> Frame:
    """Every line, in the order of the files; of this node's containers, by the path of the file."""
    return source.owned(TABLE, _OWNED, masked=("text",))


TABLE = Table(
    "container_logs", "What containers wrote, from log files that were collected.", COLUMNS, "row", {"logs": read}
)
