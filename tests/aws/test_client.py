# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.aws.client import Connection, _models, bucket_owner, s3_client, service_client
from memir.errors import AccessError, UsageError


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own configuration."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile ir]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_an_s3_client_signs_v4_and_adds_no_checksum() -> None:
    client = s3_client(Connection("eu-west-1", "http://127.0.0.1:9"), retries=2, connections=34)
    config = client.meta.config
    assert (client.meta.region_name, client.meta.endpoint_url) == ("eu-west-1", "http://127.0.0.1:9")
    assert (config.signature_version, config.s3["addressing_style"]) == ("s3v4", "path")
    assert (config.retries["total_max_attempts"], config.max_pool_connections) == (2, 34)
    assert (config.request_checksum_calculation, config.connect_timeout) == ("when_required", 10)
    assert s3_client(Connection("eu-west-1")).meta.config.s3["addressing_style"] == "auto"


def test_a_command_is_never_sent_twice() -> None:
    attempts = {
        name: service_client(name, Connection("eu-west-1")).meta.config.retries["total_max_attempts"]
        for name in ("ssm", "sts")
    }
    assert attempts == {"ssm": 1, "sts": 5}


def test_a_profile_gives_its_region_and_an_unknown_one_is_said() -> None:
    assert service_client("ssm", Connection(profile="ir")).meta.region_name == "eu-north-1"
    with pytest.raises(AccessError, match=r"AWS s3: .*nobody.*: name a profile of ~/\.aws/config with --profile"):
        s3_client(Connection(profile="nobody"))
    with pytest.raises(AccessError, match="AWS ssm: no AWS region is set: pass --region REGION"):
        service_client("ssm", Connection())


def test_each_client_has_its_own_profile_and_keys_though_models_are_read_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    text = "[{}]\naws_access_key_id = AKIA{}\naws_secret_access_key = s\n"
    (tmp_path / "keys").write_text("".join(text.format(name, name.upper()) for name in ("default", "ir", "red")))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-3\n[profile ir]\nregion = eu-north-1\n[profile red]\n"
    )
    before = _models.cache_info().misses
    clients = [service_client("sts", Connection(region, profile=name))
               for region, name in ((None, None), (None, "ir"), ("us-east-2", "red"))]  # fmt: skip
    keys = [client._request_signer._credentials.access_key for client in clients]
    assert keys == ["AKIADEFAULT", "AKIAIR", "AKIARED"]
    assert [client.meta.region_name for client in clients] == ["eu-west-3", "eu-north-1", "us-east-2"]
    assert _models.cache_info().misses - before <= 1


def test_models_of_a_folder_of_the_users_own_are_read(tmp_path: Path) -> None:
    assert _models(str(tmp_path)).search_paths[0] == str(tmp_path)
    _models(str(tmp_path)).search_paths.append("/nowhere")
    assert "/nowhere" not in _models(str(tmp_path)).search_paths


@pytest.mark.parametrize(("region", "domain"), [("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com")])
def test_other_partitions_have_their_own_names(region: str, domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """China and GovCloud: the region alone leads there, in the node's URLs too."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    client = s3_client(Connection(region))
    url = client.generate_presigned_url("get_object", Params={"Bucket": "evidence", "Key": "image.avml"})
    assert url.startswith(f"https://evidence.s3.{region}.{domain}/image.avml?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert f"%2F{region}%2Fs3%2Faws4_request" in url
    for service in ("ssm", "sts", "ec2"):
        endpoint = service_client(service, Connection(region)).meta.endpoint_url
        assert endpoint == f"https://{service}.{region}.{domain}"


def requests_of(client: Any) -> list[tuple[str, dict[str, str]]]:
    """(operation, headers) of each request that a client would send; nothing is sent."""
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders

    seen: list[tuple[str, dict[str, str]]] = []

    class Nothing:
        headers: dict[str, str] = {}  # noqa: RUF012

        def stream(self, *_: object, **__: object) -> list[bytes]:
            return [b"<r><UploadId>u</UploadId></r>"]

        def read(self, *_: object) -> bytes:
            return b""

    def note(request: Any, event_name: str, **_: object) -> AWSResponse:
        heads = {str(k).lower(): v.decode() if isinstance(v, bytes) else str(v) for k, v in request.headers.items()}
        seen.append((event_name.rpartition(".")[2], heads))
        return AWSResponse("http://x", 200, HTTPHeaders(), Nothing())

    client.meta.events.register("before-send.s3", note)
    return seen


CALLS: dict[str, dict[str, object]] = {
    "put_object": {"Key": "k", "Body": b""}, "get_object": {"Key": "k"}, "head_object": {"Key": "k"},
    "list_objects_v2": {}, "head_bucket": {}, "delete_object": {"Key": "k"}, "create_multipart_upload": {"Key": "k"},
    "upload_part": {"Key": "k", "UploadId": "u", "PartNumber": 1, "Body": b""},
    "list_parts": {"Key": "k", "UploadId": "u"}, "abort_multipart_upload": {"Key": "k", "UploadId": "u"},
    "complete_multipart_upload": {"Key": "k", "UploadId": "u"}, "list_object_versions": {},
    "get_object_lock_configuration": {}, "get_object_retention": {"Key": "k"},
}  # fmt: skip


@pytest.mark.parametrize("by", ["option", "environment"])
def test_every_request_names_the_owner_and_those_that_make_objects_the_key(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if by == "environment":
        monkeypatch.setenv("MEMIR_BUCKET_OWNER", "123456789012")
    owner = "123456789012" if by == "option" else None
    client = s3_client(Connection("eu-west-1", "http://127.0.0.1:9", owner=owner, kms_key="alias/ir"))
    seen = requests_of(client)
    for name, arguments in CALLS.items():
        getattr(client, name)(Bucket="bucket", **arguments)
    assert len(seen) == len(CALLS)
    assert {heads["x-amz-expected-bucket-owner"] for _, heads in seen} == {"123456789012"}
    encrypted = {name for name, heads in seen if "x-amz-server-side-encryption" in heads}
    assert encrypted == {"PutObject", "CreateMultipartUpload"}
    assert {heads.get("x-amz-server-side-encryption-aws-kms-key-id") for _, heads in seen} == {None, "alias/ir"}


def test_an_owner_or_a_key_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bucket_owner(None) is None
    assert bucket_owner("123456789012") == "123456789012"
    with pytest.raises(UsageError, match=r"--bucket-owner '12': write the account's 12 digits"):
        s3_client(Connection("eu-west-1", owner="12"))
    monkeypatch.setenv("MEMIR_BUCKET_OWNER", "me")
    with pytest.raises(UsageError, match=r"MEMIR_BUCKET_OWNER 'me': write the account's 12 digits"):
        s3_client(Connection("eu-west-1"))
    with pytest.raises(UsageError, match=r"--kms-key 'a b' is no key"):
        s3_client(Connection("eu-west-1", owner="123456789012", kms_key="a b"))
