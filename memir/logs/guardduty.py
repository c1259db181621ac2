# SPDX-License-Identifier: Apache-2.0
"""The table `guardduty`: GuardDuty's findings, in the three spellings that AWS has for them.

camelCase (EventBridge, the export to S3), PascalCase (GetFindings), and Security Hub's format (ASFF), where the `/` of
a type is `-`. https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html. Samples, which somebody
made to try GuardDuty out, are left out and counted. All of it is text that an intruder may have had a hand in.
"""

from __future__ import annotations

from memir.logs.format import BOOL, FLOAT, INT32, Format, JsonFields
from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    time             timestamp    when what it is about was first seen, UTC
    last_seen        timestamp    when it was last seen
    updated          timestamp    when the finding was written last
    finding_id       string       GuardDuty's id of the finding
    type             string       its type, as Execution:Runtime/NewBinaryExecuted
    severity         float64      1 to 10; from 7 on high, from 9 on critical
    title            string       one line
    description      string       what GuardDuty says of it
    account          string       account
    region           string       region
    count            int32        how often it was seen
    archived         bool         whether somebody has put it away
    resource_type    string       EKSCluster, KubernetesWorkload, Container, Instance, AttackSequence, ...
    cluster          string       EKS cluster
    instance_id      string       instance
    workload         string       `namespace/name` of the workload
    signals          list<string> of an attack sequence: types and ids of what it is made of
    claimed          list<string> `name=value` of what it says of processes, files, pods, users, connections
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
_CONTEXT = (
    "scriptPath", "libraryPath", "ldPreloadValue", "socketPath", "runcBinaryPath", "releaseAgentPath", "mountSource",
    "mountTarget", "fileSystemType", "moduleName", "moduleFilePath", "moduleSha256", "shellHistoryFilePath", "toolName",
    "commandLineExample", "filePath", "flags", "serviceName", "threatFilePath", "ianaProtocolNumber",
)  # fmt: skip
_PROCESS = ("name", "executablePath", "executableSha256", "pid", "namespacePid", "startTime", "user", "euid")
_DETAILS = {
    **{f"process.{name}": f"service.runtimeDetails.process.{name}" for name in _PROCESS},
    **{f"context.{name}": f"service.runtimeDetails.context.{name}" for name in _CONTEXT},
    **{f"{which}.{name}": f"service.runtimeDetails.context.{which}.{name}"
       for which in ("modifyingProcess", "targetProcess") for name in _PROCESS[:6]},
    "workload.name": "resource.kubernetesDetails.kubernetesWorkloadDetails.name",
    "workload.type": "resource.kubernetesDetails.kubernetesWorkloadDetails.type",
    "workload.uid": "resource.kubernetesDetails.kubernetesWorkloadDetails.uid",
    "workload.namespace": "resource.kubernetesDetails.kubernetesWorkloadDetails.namespace",
    "workload.hostNetwork": "resource.kubernetesDetails.kubernetesWorkloadDetails.hostNetwork",
    "workload.serviceAccountName": "resource.kubernetesDetails.kubernetesWorkloadDetails.serviceAccountName",
    "workload.hostPID": "resource.kubernetesDetails.kubernetesWorkloadDetails.hostPID",
    "workload.container.name": "resource.kubernetesDetails.kubernetesWorkloadDetails.containers[0].name",
    "workload.container.image": "resource.kubernetesDetails.kubernetesWorkloadDetails.containers[0].image",
    "workload.container.privileged":
        "resource.kubernetesDetails.kubernetesWorkloadDetails.containers[0].securityContext.privileged",
    "container.id": "resource.containerDetails.id",
    "container.name": "resource.containerDetails.name",
    "container.image": "resource.containerDetails.image",
    "container.privileged": "resource.containerDetails.securityContext.privileged",
    "user.username": "resource.kubernetesDetails.kubernetesUserDetails.username",
    "user.sessionName": "resource.kubernetesDetails.kubernetesUserDetails.sessionName",
    "accessKey.accessKeyId": "resource.accessKeyDetails.accessKeyId",
    "api.requestUri": "service.action.kubernetesApiCallAction.requestUri",
    "api.verb": "service.action.kubernetesApiCallAction.verb",
    "api.userAgent": "service.action.kubernetesApiCallAction.userAgent",
    "network.remoteIp": "service.action.networkConnectionAction.remoteIpDetails.ipAddressV4",
    "network.remotePort": "service.action.networkConnectionAction.remotePortDetails.port",
    "network.localPort": "service.action.networkConnectionAction.localPortDetails.port",
    "dns.domain": "service.action.dnsRequestAction.domain",
}  # fmt: skip
_ASFF_PROCESS = {"process.name": "Name", "process.executablePath": "Path", "process.pid": "Pid"}


def _pascal(path: str) -> str:
    return ".".join(part[:1].upper() + part[1:] for part in path.split("."))


def _both(name: str, path: str) -> dict[str, str]:
    """The same path in camelCase and in PascalCase."""
    return {name: f"$.{path}", f"{name}_p": f"$.{_pascal(path)}"}


_TOP = {
    "id": "id", "type": "type", "severity": "severity", "title": "title", "description": "description",
    "account": "accountId", "region": "region", "count": "service.count", "archived": "service.archived",
    "sample": "service.additionalInfo.sample", "resource_type": "resource.resourceType",
    "cluster": "resource.eksClusterDetails.name", "instance_id": "resource.instanceDetails.instanceId",
    "first": "service.eventFirstSeen", "last": "service.eventLastSeen", "updated": "updatedAt",
    "created": "createdAt", "schema": "schemaVersion", "signals": "service.detection.sequence.signals",
    "value": "service.additionalInfo.value",
}  # fmt: skip
_PATHS: dict[str, str] = {}
for _name, _path in _TOP.items():
    _PATHS |= _both(_name, _path)
for _number, _path in enumerate(_DETAILS.values()):
    _PATHS |= _both(f"d{_number}", _path)
_PATHS |= {
    "types": "$.Types[0]", "product": "$.ProductArn", "asff_id": "$.Id", "asff_account": "$.AwsAccountId",
    "asff_severity": "$.Severity.Original", "asff_product": "$.Severity.Product", "asff_first": "$.FirstObservedAt",
    "asff_last": "$.LastObservedAt", "asff_sample": "$.ProductFields.\"aws/guardduty/service/additionalInfo/sample\"",
    "asff_resource": "$.Resources[0].Type", "asff_resource_id": "$.Resources[0].Id", "asff_state": "$.RecordState",
    **{f"asff_{name.partition('.')[2]}": f"$.Process.{theirs}" for name, theirs in _ASFF_PROCESS.items()},
}  # fmt: skip
_ASFF = "coalesce(product, '') like '%:product/aws/guardduty'"
_SAMPLE = (
    "coalesce(sample, sample_p, asff_sample, '') = 'true' or coalesce(value, value_p, '') like '%\"sample\":true%'"
)
_GUARD = (
    f"(({_ASFF}) or (regexp_matches(coalesce(type, type_p, ''), '^[A-Za-z]+:[A-Za-z0-9]+/') "
    "and coalesce(schema, schema_p) is not null))"
)


def _one(name: str) -> str:
    return f"coalesce({name}, {name}_p)"


def _claimed() -> str:
    parts = []
    for number, name in enumerate(_DETAILS):
        more = f", asff_{name.partition('.')[2]}" if name in _ASFF_PROCESS else ""
        parts.append(f"'{name}=' || coalesce(d{number}, d{number}_p{more})")
    instance = "'instance.id=' || coalesce(instance_id, instance_id_p, nullif(regexp_extract(coalesce(asff_resource_id,"
    parts.append(instance + " ''), 'instance/(i-[0-9a-f]+)', 1), ''))")
    return f"list_filter([{', '.join(parts)}], lambda part: part is not null)"


def _detail(name: str) -> str:
    return f"d{list(_DETAILS).index(name)}"


_CAST = {
    "time": f"try_cast(coalesce({_one('first')}, asff_first, {_one('created')}) as timestamptz)",
    "last_seen": f"try_cast(coalesce({_one('last')}, asff_last) as timestamptz)",
    "updated": f"try_cast({_one('updated')} as timestamptz)",
    "finding_id": f"regexp_replace({_one('id')}, '^.*/finding/', '')",
    "type": f"coalesce({_one('type')}, regexp_replace(regexp_replace(types, '^.*/', ''), "
    "'^([A-Za-z]+:[A-Za-z0-9]+)-', '\\1/'))",
    "severity": FLOAT.format("coalesce(severity, case when severity_p like '{{%' then null else severity_p end, "
                             "asff_product, asff_severity)"),
    "title": _one("title"), "description": _one("description"),
    "account": f"coalesce({_one('account')}, asff_account)", "region": _one("region"),
    "count": INT32.format(_one("count")),
    "archived": f"coalesce({BOOL.format(_one('archived'))}, asff_state = 'ARCHIVED')",
    "resource_type": f"coalesce({_one('resource_type')}, asff_resource)",
    "cluster": _one("cluster"),
    "instance_id": f"coalesce({_one('instance_id')}, "
    "nullif(regexp_extract(coalesce(asff_resource_id, ''), 'instance/(i-[0-9a-f]+)', 1), ''))",
    "workload": f"{_one(_detail('workload.namespace'))} || '/' || {_one(_detail('workload.name'))}",
    "signals": "list_transform(try(json_extract_string(" + _one("signals") + ", '$[*]')), "
    "lambda part: coalesce(json_extract_string(part, '$.type'), json_extract_string(part, '$.Type'), '?') "
    "|| coalesce(' ' || json_extract_string(part, '$.uid'), ' ' || json_extract_string(part, '$.Uid'), ''))",
    "claimed": _claimed(),
    "sampled": _SAMPLE,
}  # fmt: skip
FIELDS = JsonFields(_PATHS, _GUARD, _CAST, drop=frozenset(_PATHS) - set(_CAST))
FORMATS = (Format("guardduty", "GuardDuty findings", FIELDS.sql, ("sampled", "samples of GuardDuty, left out")),)
_OWNED = """
    with said as (
        select number, list_filter(claimed, lambda part: starts_with(part, 'container.id='))[1][14:] as container_id,
            list_filter(claimed, lambda part: starts_with(part, 'workload.uid='))[1][14:] as uid,
            split_part(workload, '/', 1) as namespace, split_part(workload, '/', 2) as name from log)
    select number, coalesce(inside.pod_uid, pods.pod_uid, named.pod_uid) as pod_uid,
        coalesce(inside.pod_name, pods.pod_name, named.pod_name) as pod_name,
        coalesce(inside.namespace, pods.namespace, named.namespace) as namespace,
        inside.container_id as container_id, inside.container_name as container_name
    from said
    left join containers as inside on inside.container_id = regexp_replace(said.container_id, '^[a-z]+://', '')
    left join pods on pods.pod_uid = said.uid
    left join pods_by_name as named on named.namespace = said.namespace and named.pod_name = said.name
    where coalesce(inside.pod_uid, pods.pod_uid, named.pod_uid) is not null or inside.container_id is not null
"""


def read(source: LogSource) -> Frame:
    """Every finding but samples, which are counted; the pod's and container's that it names, where they are here."""
    return source.owned(TABLE, _OWNED)


TABLE = Table("guardduty", "GuardDuty's findings, samples left out.", COLUMNS, "row", {"logs": read})
