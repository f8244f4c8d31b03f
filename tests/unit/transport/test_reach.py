"""Which addresses may be called: so that nobody can send a server where he likes."""

from __future__ import annotations

import pytest

from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.push import PushTransport
from pyopenadr.transport.reach import Reach


@pytest.mark.parametrize(
    ("address", "anywhere", "here"),
    [
        ("8.8.8.8", True, True),
        ("10.1.2.3", True, True),
        ("2001:4860:4860::8888", True, True),
        ("127.0.0.1", False, True),
        ("127.9.9.9", False, True),
        ("::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("255.255.255.255", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("no address", False, False),
    ],
)
def test_what_may_be_called_by_default(address: str, anywhere: bool, here: bool) -> None:
    assert Reach().allows(address) is anywhere
    assert Reach(loopback=True).allows(address) is here


def test_networks_replace_the_default() -> None:
    reach = Reach(["10.0.0.0/8", "127.0.0.0/30", "2001:db8::/32"])
    assert [reach.allows(it) for it in ("10.9.9.9", "::ffff:10.9.9.9", "127.0.0.1", "2001:db8::5")] == [True] * 4
    assert [reach.allows(it) for it in ("11.0.0.1", "127.0.0.9", "2001:db9::5", "8.8.8.8")] == [False] * 4


def test_a_network_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"like 10\.0\.0\.0/8"):
        Reach(["10.0.0.1/8"])


@pytest.mark.parametrize("url", ["http://ven.example", "http://10.0.0.1:80/x", "http://127.0.0.1:9"])
def test_plain_http_only_where_it_is_said(url: str) -> None:
    assert Reach(insecure=True, loopback=True).check(f"{url}/") == url.rstrip("/")
    if "127" not in url:
        with pytest.raises(TransportError, match="https"):
            Reach(loopback=True).check(url)


async def test_a_name_is_judged_by_what_it_leads_to() -> None:
    transport = PushTransport(Reach(), fingerprints=(), context=None, timeout_s=5)
    with pytest.raises(TransportError, match="no network that may be called") as refused:
        await transport.post("http://localhost:9/", b"x")
    assert not refused.value.retry
    await transport.close()


async def test_an_address_that_is_not_allowed_is_not_called_either() -> None:
    reach = Reach()
    transport = PushTransport(reach, fingerprints=(), context=None, timeout_s=5)
    with pytest.raises(TransportError, match="no network that may be called"):
        await transport.post("http://127.0.0.1:9/", b"x")
    await transport.close()
