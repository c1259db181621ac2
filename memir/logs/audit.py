# SPDX-License-Identifier: Apache-2.0
"""The table `audit`: what the API server of Kubernetes was asked, audit.k8s.io/v1 Event.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/; the command of an exec is in requestURI
(k8s.io/api/core/v1 PodExecOptions).
"""

from __future__ import annotations

from memir.logs.format import INT32, STRINGS, TIME, Format, JsonFields
from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    time             timestamp    when the request came, UTC by the API server's clock
    stage_time       timestamp    when this stage was reached
    stage            string       RequestReceived, ResponseStarted (of long ones: exec, watch), ResponseComplete, Panic
    audit_id         string       one request; its stages share it
    verb             string       get, list, create, ...
    user             string       who asked
    groups           list<string> that user's groups
    impersonated     string       user in whose name it was asked
    source_ips       list<string> addresses that it came from: client first, then proxies
    user_agent       string       program of the client, by its own account
    resource         string       pods, secrets, ...
    subresource      string       exec, attach, portforward, token, status, ...
    api_group        string       group of the resource; null for the core group
    object_namespace string       namespace of the object that was asked for
    object_name      string       its name
    request_uri      string       path and query as they were sent, those of an exec without query
    command          list<string> command of an exec, secrets masked
    exec_container   string       container of an exec, attach or log that the request names
    code             int32        HTTP status of the answer
    decision         string       allow or forbid
    reason           string       why: the role binding, as RBAC says it
    credential_id    string       JTI=ID of a token or X509SHA256=HASH of a certificate that it was asked with
    issued_id        string       JTI=ID of the token that the answer gave out
    by_pod_uid       string       pod whose token it was asked with, by the token
    by_pod           string       name of that pod
    by_node          string       node of that pod, by the token
    level            string       Metadata, Request or RequestResponse: what the policy has kept
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
_EXTRA = '$.user.extra."authentication.kubernetes.io/{}"[0]'
_NOTE = '$.annotations."{}"'
_COMMAND = (
    "case when subresource = 'exec' then list_transform(regexp_extract_all(request_uri, '[?&]command=([^&]*)', 1), "
    "lambda part: coalesce(try(url_decode(replace(part, '+', ' '))), part)) end"
)
_CONTAINER = "nullif(url_decode(regexp_extract(request_uri, '[?&]container=([A-Za-z0-9.-]*)', 1)), '')"
FIELDS = JsonFields(
    {
        "kind": "$.kind", "version": "$.apiVersion", "time": "$.requestReceivedTimestamp",
        "stage_time": "$.stageTimestamp", "stage": "$.stage", "audit_id": "$.auditID", "verb": "$.verb",
        "user": "$.user.username", "groups": "$.user.groups", "impersonated": "$.impersonatedUser.username",
        "source_ips": "$.sourceIPs", "user_agent": "$.userAgent", "resource": "$.objectRef.resource",
        "subresource": "$.objectRef.subresource", "api_group": "$.objectRef.apiGroup",
        "object_namespace": "$.objectRef.namespace", "object_name": "$.objectRef.name",
        "request_uri": "$.requestURI", "code": "$.responseStatus.code",
        "decision": _NOTE.format("authorization.k8s.io/decision"),
        "reason": _NOTE.format("authorization.k8s.io/reason"),
        "credential_id": _EXTRA.format("credential-id"),
        "issued_id": _NOTE.format("authentication.kubernetes.io/issued-credential-id"),
        "by_pod_uid": _EXTRA.format("pod-uid"), "by_pod": _EXTRA.format("pod-name"),
        "by_node": _EXTRA.format("node-name"), "level": "$.level",
    },
    where="kind = 'Event' and (version like 'audit.k8s.io/%' or audit_id is not null or "
    "(verb is not null and resource is not null))",
    cast={
        "time": TIME, "stage_time": TIME, "groups": STRINGS, "source_ips": STRINGS, "code": INT32,
        "command": _COMMAND, "exec_container": _CONTAINER, "reason": "nullif(reason, '')",
        "request_uri": "case when subresource in ('exec', 'attach') then split_part(request_uri, '?', 1) "
        "else request_uri end",
    },
    drop=frozenset({"kind", "version"}),
)  # fmt: skip
FORMATS = (Format("audit", "Kubernetes audit log", FIELDS.sql),)
_OWNED = """
    select number, coalesce(actor.pod_uid, object.pod_uid) as pod_uid,
        coalesce(actor.pod_name, object.pod_name) as pod_name,
        coalesce(actor.namespace, object.namespace) as namespace,
        case when actor.pod_uid is null then inside.container_id end as container_id,
        case when actor.pod_uid is null then inside.container_name end as container_name
    from log
    left join pods as actor on actor.pod_uid = log.by_pod_uid
    left join pods_by_name as object on log.resource = 'pods' and object.namespace = log.object_namespace
        and object.pod_name = log.object_name
    left join containers_by_name as inside on inside.pod_uid = object.pod_uid
        and inside.container_name = log.exec_container
    where actor.pod_uid is not null or object.pod_uid is not null
"""


def read(source: LogSource) -> Frame:
    """Every event. It is the pod's whose token it was asked with, else the pod's that it is about, on this node."""
    return source.owned(TABLE, _OWNED, masked=("command",))


TABLE = Table("audit", "What the Kubernetes API was asked, by its audit log.", COLUMNS, "row", {"logs": read})
