# SPDX-License-Identifier: Apache-2.0
"""The table `cloudtrail`: what AWS was asked, as CloudTrail writes it to S3 or LookupEvents gives it.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from memir.logs.format import BOOL, TIME, Format, JsonFields
from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

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
    request          string       JSON of the request's parameters, secrets masked, its end cut at 4,096 characters
    resources        list<string> ARNs of what it was about
    vpc_endpoint     string       VPC endpoint that it came through
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
_SECRET = '("(?:[a-z_]*(?:password|passwd|token)|secret(?:string|binary|accesskey|key))"[ ]*:[ ]*")(?:[^"\\\\]|\\\\.)+'
"""Values that AWS's own redaction may leave in a request. A secret's name (secretId) is what an investigator needs."""
FIELDS = JsonFields(
    {
        "version": "$.eventVersion", "time": "$.eventTime", "event_id": "$.eventID", "event_source": "$.eventSource",
        "event_name": "$.eventName", "read_only": "$.readOnly", "region": "$.awsRegion",
        "account": "$.recipientAccountId", "source_ip": "$.sourceIPAddress", "user_agent": "$.userAgent",
        "error_code": "$.errorCode", "error_message": "$.errorMessage", "identity_type": "$.userIdentity.type",
        "arn": "$.userIdentity.arn", "principal_id": "$.userIdentity.principalId",
        "user_name": "$.userIdentity.userName", "role_arn": "$.userIdentity.sessionContext.sessionIssuer.arn",
        "access_key": "$.userIdentity.accessKeyId", "issued_key": "$.responseElements.credentials.accessKeyId",
        "issued_arn": "$.responseElements.assumedRoleUser.arn", "request": "$.requestParameters",
        "resources": "$.resources", "vpc_endpoint": "$.vpcEndpointId", "pool": "$.userIdentity.accountId",
    },
    where="version is not null and event_source is not null and event_name is not null",
    cast={
        "time": TIME, "read_only": BOOL, "account": "coalesce(account, pool)",
        "session_name": "case when identity_type = 'AssumedRole' then nullif(split_part(arn, '/', 3), '') end",
        "request": f"left(regexp_replace({{}}, '{_SECRET}', '\\1***', 'gi'), 4096)",
        "resources": "try(json_extract_string(resources, '$[*].ARN'))",
    },
    drop=frozenset({"version", "pool"}),
)  # fmt: skip
FORMATS = (Format("cloudtrail", "CloudTrail events", FIELDS.sql),)
_OWNED = """
    select number, any_value(pod_uid) as pod_uid, any_value(pod_name) as pod_name, any_value(namespace) as namespace
    from log join pods on session_name like 'eks-%' and contains(session_name, '-' || pod_name || '-')
    group by number having count(*) = 1
"""


def read(source: LogSource) -> Frame:
    """Every event. A session that Pod Identity has named after a pod is that pod's."""
    return source.owned(TABLE, _OWNED, masked=("request",))


TABLE = Table("cloudtrail", "What AWS was asked, by CloudTrail.", COLUMNS, "row", {"logs": read})
