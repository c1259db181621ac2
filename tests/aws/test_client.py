# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from memir.aws.client import Connection, s3_client, service_client
from memir.errors import AccessError


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


@pytest.mark.parametrize(
    ("region", "domain"), [("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com")]
)
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
