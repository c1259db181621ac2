# SPDX-License-Identifier: Apache-2.0
"""The table `cloudtrail`: what AWS was asked, as CloudTrail writes it to S3 or LookupEvents gives it.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.logs.format import BOOL, TIME, Format, JsonFields
from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = columns("""
    time             timestamp    when the request was made, UTC
    event_id         string       CloudTrail's id of the event
    event_source     string       service that was asked: sts.amazonaws.com, ...
    event_name       string       what it was asked for: AssumeRoleWithWebIdentity, GetObject, ...
    read_only        bool         whether it changes nothing
    region           string       region
    account          string       account that it was asked in
    source_ip        string       address that it came from, or the AWS service
    user_agent       string       program of the client, by its own account
    error_code       string       why it was refused; null if it was done
    error_message    string       the same in words
    identity_type    string       IAMUser, AssumedRole, WebIdentityUser, AWSService, ...
    arn              string       identity that asked
    principal_id     string       that identity's id; of a session `ROLE-ID:SESSION-NAME`
    user_name        string       user, or of a web identity the subject: system:serviceaccount:NAMESPACE:NAME
    session_name     string       role session: of a node's role its instance id, of Pod Identity eks-CLUSTER-POD-UUID
    role_arn         string       role whose session asked
    access_key       string       access key id that it was signed with
    issued_key       string       access key id that the answer gave out
    issued_arn       string       role session that the answer gave out
    issued_end       timestamp    when the key that the answer gave out ends
    session_begin    timestamp    when the session that asked was opened
    session_end      timestamp    when its key ends: by memory, else by the answer that gave it out
    in_life          bool         whether the request was made in that time; null: the end is not known
    moment           string       before or after the memory was taken, by the image's own clock; null: it is not known
    request          string       JSON of the request's parameters, secrets masked, its end cut at 4,096 characters
    resources        list<string> ARNs of what it was about
    vpc_endpoint     string       VPC endpoint that it came through
    credentials      list<string> what ties it to this node: key in memory, issued key in memory, Pod Identity, IRSA
    pids             list<int32>  processes that hold its access key, or the one that the answer gave out
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
_SECRET = '("(?:[a-z_]*(?:password|passwd|token)|secret(?:string|binary|accesskey|key))"[ ]*:[ ]*")(?:[^"\\\\]|\\\\.)+'
"""Values that AWS's own redaction may leave in a request. A secret's name (secretId) is what an investigator needs."""
_EXPIRATION = (
    "timezone('UTC', try_strptime(replace({}, chr(8239), ' '), "
    "['%b %d, %Y, %I:%M:%S %p', '%b %d, %Y %I:%M:%S %p']))"
)
"""`Jul 18, 2023, 4:07:39 PM`, in older events without the second comma; UTC. 8239: the space of newer Javas."""
FIELDS = JsonFields(
    {
        "version": "$.eventVersion", "time": "$.eventTime", "event_id": "$.eventID", "event_source": "$.eventSource",
        "event_name": "$.eventName", "read_only": "$.readOnly", "region": "$.awsRegion",
        "account": "$.recipientAccountId", "source_ip": "$.sourceIPAddress", "user_agent": "$.userAgent",
        "error_code": "$.errorCode", "error_message": "$.errorMessage", "identity_type": "$.userIdentity.type",
        "arn": "$.userIdentity.arn", "principal_id": "$.userIdentity.principalId",
        "user_name": "$.userIdentity.userName", "role_arn": "$.userIdentity.sessionContext.sessionIssuer.arn",
        "access_key": "$.userIdentity.accessKeyId", "issued_key": "$.responseElements.credentials.accessKeyId",
        "issued_arn": "$.responseElements.assumedRoleUser.arn",
        "issued_end": "$.responseElements.credentials.expiration",
        "session_begin": "$.userIdentity.sessionContext.attributes.creationDate", "request": "$.requestParameters",
        "resources": "$.resources", "vpc_endpoint": "$.vpcEndpointId", "pool": "$.userIdentity.accountId",
    },
    where="version is not null and event_source is not null and event_name is not null",
    cast={
        "time": TIME, "read_only": BOOL, "issued_end": _EXPIRATION, "session_begin": TIME,
        "account": "coalesce(account, pool)",
        "session_name": "case when identity_type = 'AssumedRole' then nullif(split_part(arn, '/', 3), '') end",
        "request": f"left(regexp_replace({{}}, '{_SECRET}', '\\1***', 'gi'), 4096)",
        "resources": "try(json_extract_string(resources, '$[*].ARN'))",
    },
    drop=frozenset({"version", "pool"}),
)  # fmt: skip
FORMATS = (Format("cloudtrail", "CloudTrail events", FIELDS.sql),)
_TAG = '"key" ?: ?"kubernetes-pod-uid" ?, ?"value" ?: ?"([0-9a-f-]{36})"'
"""Session tag of Pod Identity: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html"""
_OWNED = f"""
    with named as (
        select number, any_value(pod_uid) as pod_uid, any_value(pod_name) as pod_name, any_value(namespace) as namespace
        from log join pods on session_name like 'eks-%' and contains(session_name, '-' || pod_name || '-')
        group by number having count(*) = 1),
    keys as (select access_key as id from log where access_key is not null
        union select issued_key from log where issued_key is not null),
    held as (
        select id, cast(list_sort(list(distinct pid) filter (pid is not null)) as integer[]) as pids,
            if(count(distinct container_id) = 1, any_value(container_id), null) as container_id,
            if(count(distinct container_id) = 1, any_value(container_name), null) as container_name,
            if(count(distinct pod_uid) = 1, any_value(pod_uid), null) as pod_uid,
            if(count(distinct pod_uid) = 1, any_value(pod_name), null) as pod_name,
            if(count(distinct pod_uid) = 1, any_value(namespace), null) as namespace, max(expires) as expires
        from keys join secrets on name = id or fingerprint = 'sha256:' || sha256(id) group by id),
    issued as (
        select issued_key, issued_arn, case when event_name = 'AssumeRoleWithWebIdentity' then user_name end as account,
            nullif(regexp_extract(coalesce(request, ''), '{_TAG}', 1), '') as uid
        from log where issued_key is not null or issued_arn is not null),
    tagged as (select issued_key, issued_arn, p.pod_uid, p.pod_name, p.namespace
        from issued join pods as p on p.pod_uid = uid),
    tagged_key as (select issued_key, any_value(pod_uid) as pod_uid, any_value(pod_name) as pod_name,
            any_value(namespace) as namespace
        from tagged where issued_key is not null group by issued_key having count(distinct pod_uid) = 1),
    tagged_arn as (select issued_arn, any_value(pod_uid) as pod_uid, any_value(pod_name) as pod_name,
            any_value(namespace) as namespace
        from tagged where issued_arn is not null group by issued_arn having count(distinct pod_uid) = 1),
    accounts as (select distinct 'system:serviceaccount:' || namespace || ':' || service_account as account
        from pods where service_account is not null),
    irsa as (select distinct issued_key from issued where account in (select account from accounts)
        and issued_key is not null),
    ends as (select issued_key as id, max(issued_end) as ends from log where issued_key is not null group by all)
    select number, coalesce(h.pids, g.pids) as pids, coalesce(h.expires, ends.ends) as session_end,
        log.time between coalesce(log.session_begin, log.time) and coalesce(h.expires, ends.ends) as in_life,
        if(log.time > (select taken from clock), 'after', if(log.time <= (select taken from clock), 'before', null))
            as moment,
        coalesce(k.pod_uid, a.pod_uid, h.pod_uid, g.pod_uid, named.pod_uid) as pod_uid,
        coalesce(k.pod_name, a.pod_name, h.pod_name, g.pod_name, named.pod_name) as pod_name,
        coalesce(k.namespace, a.namespace, h.namespace, g.namespace, named.namespace) as namespace,
        if(coalesce(k.pod_uid, a.pod_uid) is distinct from coalesce(h.pod_uid, g.pod_uid)
            and coalesce(k.pod_uid, a.pod_uid) is not null, null, coalesce(h.container_id, g.container_id))
            as container_id,
        if(coalesce(k.pod_uid, a.pod_uid) is distinct from coalesce(h.pod_uid, g.pod_uid)
            and coalesce(k.pod_uid, a.pod_uid) is not null, null, coalesce(h.container_name, g.container_name))
            as container_name,
        nullif(list_filter([
            if(h.id is not null, 'key in memory', null), if(g.id is not null, 'issued key in memory', null),
            if(coalesce(k.pod_uid, a.pod_uid, named.pod_uid) is not null, 'Pod Identity', null),
            if(log.access_key in (select issued_key from irsa) or log.issued_key in (select issued_key from irsa)
                or (log.event_name = 'AssumeRoleWithWebIdentity'
                    and log.user_name in (select account from accounts)), 'IRSA', null),
            if(log.session_name in (select id from instance), 'node role', null)],
            lambda part: part is not null), []) as credentials
    from log left join held as h on h.id = log.access_key left join held as g on g.id = log.issued_key
    left join tagged_key as k on k.issued_key = coalesce(log.access_key, log.issued_key)
    left join ends on ends.id = log.access_key
    left join tagged_arn as a on a.issued_arn = coalesce(log.arn, log.issued_arn) left join named using (number)
"""


def read(source: LogSource) -> Frame:
    """Every event. It is the pod's for which Pod Identity gave its key out, else the one that alone holds it."""
    more = {"secrets": source.some("secrets"), "instance": _instance(source), "clock": _clock(source)}
    return source.owned(TABLE, _OWNED, masked=("request",), more=more)


def _clock(source: LogSource) -> pa.Table:
    """When the memory was taken, by the image's own clock: one row, null where it is not known."""
    import pyarrow as pa

    taken = None if source.clock is None else source.clock // 1000
    return pa.table({"taken": pa.array([taken], pa.timestamp("us", "UTC"))})


def _instance(source: LogSource) -> pa.Table:
    """The id of this node's instance, as its firmware, its kubelet or the API say it."""
    from memir.tables.sql import connected

    with connected({"claims": source.some("claims")}) as connection:
        ids: pa.Table = connection.sql(
            "select distinct value as id from claims where subject = 'node' and field = 'instance_id' and believed"
        ).to_arrow_table()
        return ids


TABLE = Table("cloudtrail", "What AWS was asked, by CloudTrail.", COLUMNS, "row", {"logs": read})
