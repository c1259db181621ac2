# SPDX-License-Identifier: Apache-2.0
"""YARA rules for what is secret by its shape, and for values that are known to be secret.

Not those of `memir hunt`: these only say where to look, and memir.hunt.secret_shapes reads what they match. The regular
expression in `secret` carries a match on to the secret's end: YARA itself stops at 1,024 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

SHORTEST = 12
"""Bytes of a known value from which on finding it again proves something."""
LONGEST = 4096  # bytes of a known value that are looked for: what begins so and is as long is the same
MOST = 4000  # known values that are looked for
KNOWN = "Known"

_PEM = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[\\r\\n]|\\\\n)"
    r"[A-Za-z0-9+/=,: \\r\\n\\\\-]{64,7000}?-----END [A-Z ]{0,30}PRIVATE KEY-----"
)
_SCHEMES = (
    "postgres|postgresql|mysql|mariadb|mongodb|mongodb\\+srv|redis|rediss|amqp|amqps|mssql|clickhouse|kafka|ldap|ldaps"
)
_AUTH = (
    r"""/"[0-9A-Za-z:\/._-]{3,120}"\s{0,4}:\s{0,4}\{[^{}\x00]{0,300}"""
    r""""auth"\s{0,4}:\s{0,4}"[0-9A-Za-z+\/]{12,400}={0,2}"/"""
)
_URL = r"""/(SCHEMES):\/\/[^ \s:@\/"'\x00-\x1f]{0,100}:[^ \s@"'\/\x00-\x1f]{3,200}@[0-9A-Za-z.-]{3,200}/"""
_SHAPES = (
    r"""
rule Token : secret
{
    meta: secret = "eyJ[0-9A-Za-z_-]{10,}\\.eyJ[0-9A-Za-z_-]{10,}\\.[0-9A-Za-z_-]{40,}"
    strings: $a = /eyJ(hbGciOi|0eXAiOi|raWQiOi)[0-9A-Za-z_-]{10,400}\.eyJ[0-9A-Za-z_-]{10}/
    condition: $a
}
rule Aws_Document : secret
{
    meta: secret = "(?s).AccessKeyId.{20,3000}?Expiration.{8,60}|.{20,1600}"
    strings:
        $json = /"AccessKeyId"[ \n]{0,2}:[ \n]{0,2}"A[KS]IA[A-Z2-7]{16}"/
        $xml = /<AccessKeyId>A[KS]IA[A-Z2-7]{16}<\/AccessKeyId>/
    condition: any of them
}
rule Aws_Secret : secret
{
    meta: secret = "(?s).{20,1600}"
    strings:
        $environment = /AWS_SECRET_ACCESS_KEY=[A-Za-z0-9\/+]{40}[^A-Za-z0-9\/+=]/
        $file = /aws_access_key_id ?= ?A[KS]IA[A-Z2-7]{16}[^A-Z2-7]/
        $session = /AWS_SESSION_TOKEN=[A-Za-z0-9\/+=]{100}/
    condition: any of them
}
rule Aws_Key_Id : secret
{
    strings: $a = /A[KS]IA[A-Z2-7]{16}/ fullword
    condition: $a
}
rule Private_Key : secret
{
    meta: secret = "PEM"
    strings: $a = /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/
    condition: $a
}
rule Certificate : secret
{
    meta: secret = "-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\r\\n]{200,7000}?-----END CERTIFICATE-----"
    strings: $a = "-----BEGIN CERTIFICATE-----"
    condition: $a
}
rule Kubeconfig_Key : secret
{
    meta: secret = "(?<=-data)\"?: ?\"?[0-9A-Za-z+/]{100,}={0,2}"
    strings:
        $key = /client-key-data"?: ?"?LS0tLS1CRUdJTi[0-9A-Za-z+\/]{100}/
        $certificate = /client-certificate-data"?: ?"?LS0tLS1CRUdJTi[0-9A-Za-z+\/]{100}/
    condition: any of them
}
rule Registry_Password : secret
{
    strings: $a = AUTH
    condition: $a
}
rule Url_Password : secret
{
    strings: $a = URL
    condition: $a
}
""".replace("PEM", _PEM)
    .replace("AUTH", _AUTH)
    .replace("URL", _URL)
    .replace("SCHEMES", _SCHEMES)
)


def rules_text(known: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """(rules in YARA's language, fingerprint by the identifier of the string that looks for its value).

    known: clear values by fingerprint. Values that are too short, and those past MOST, are left out: count them.
    """
    strings: list[str] = []
    names: dict[str, str] = {}
    for fingerprint, value in known.items():
        raw = value.encode("utf-8", "surrogateescape" if value.isprintable() else "replace")[:LONGEST]
        if len(raw) < SHORTEST or len(names) >= MOST:
            continue
        name = f"$v{len(names)}"
        names[name] = fingerprint
        strings.append(f"{name} = {{ {raw.hex(' ')} }}")
    if not strings:
        return _SHAPES, {}
    known_rule = f"rule {KNOWN} : secret {{ strings: {' '.join(strings)} condition: any of them }}"
    return f"{_SHAPES}\n{known_rule}\n", names
