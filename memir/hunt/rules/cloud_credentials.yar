// SPDX-License-Identifier: Apache-2.0
// Credentials of clouds. Tagged `secret`: what they match is shown masked unless asked for, with a hash of the
// part that the regular expression in `secret` finds from the match on.

rule Credential_Aws_Secret_Key : secret aws
{
    meta:
        description = "An AWS access key id with its secret key beside it, as configuration or environment"
        technique = "T1552.001"
        severity = "high"
        secret = "[0-9A-Za-z/+]{40}"
    strings:
        $environment = /AWS_SECRET_ACCESS_KEY=[A-Za-z0-9\/+]{40}[^A-Za-z0-9\/+=]/
        $file = /aws_secret_access_key ?= ?[A-Za-z0-9\/+]{40}[^A-Za-z0-9\/+=]/
        $json = /"SecretAccessKey" ?: ?"[A-Za-z0-9\/+]{40}"/
    condition:
        any of them
}

rule Credential_Aws_Session : secret aws
{
    meta:
        description = "Temporary AWS credentials as the instance metadata service or STS hands them out"
        technique = "T1552.005"
        severity = "high"
        secret = "ASIA[0-9A-Z]{16}|[0-9A-Za-z/+]{100,}={0,2}"
    strings:
        $metadata = /"AccessKeyId" ?: ?"ASIA[0-9A-Z]{16}"/
        $environment = /AWS_SESSION_TOKEN=[A-Za-z0-9\/+=]{100}/
        $xml = /<AccessKeyId>ASIA[0-9A-Z]{16}<\/AccessKeyId>/
    condition:
        any of them
}

rule Credential_Gcp_Service_Key : secret gcp
{
    meta:
        description = "Key file of a Google Cloud service account"
        technique = "T1552.001"
        severity = "high"
        secret = "-----BEGIN PRIVATE KEY-----[^\"]+-----END PRIVATE KEY-----"
    strings:
        $key = /"type": ?"service_account"[^\x00]{0,400}"private_key": ?"-----BEGIN PRIVATE KEY-----/
    condition:
        $key
}

rule Credential_Azure_Client_Secret : secret azure
{
    meta:
        description = "Secret of an Azure application in environment or token request"
        technique = "T1552.001"
        severity = "high"
        secret = "(?<=CLIENT_SECRET=)[0-9A-Za-z~._-]{34,44}|[0-9A-Za-z+/]{86}=="
    strings:
        $environment = /AZURE_CLIENT_SECRET=[0-9A-Za-z~._-]{34,44}/
        $storage = /DefaultEndpointsProtocol=https;AccountName=[0-9a-z]{3,24};AccountKey=[0-9A-Za-z+\/]{86}==/
    condition:
        any of them
}

rule Credential_Metadata_Request : aws
{
    meta:
        description = "A request for the node role's credentials at the instance metadata service"
        technique = "T1552.005"
        severity = "medium"
    strings:
        $path = /(GET |http:\/\/169\.254\.169\.254)\/latest\/meta-data\/iam\/security-credentials\/[0-9A-Za-z._-]{3,64}/
    condition:
        $path
}
