"""Which addresses messages may go to: tables of all the forms that an inner address can take."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_notifier.channels.outbound import Guard
from sentryml_notifier.domain.addresses import authority_of, is_public, read_allowed_hosts, why_not

NOT_PUBLIC = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:0:7f00:1::",
    "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1",
    # No addresses in their usual form: nobody knows what a resolver makes of them.
    "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1111", "2a00:1450:4001::1"]

INNER_V4 = [IPv4Network(each) for each in ("127.0.0.0/8", "10.0.0.0/8", "192.168.0.0/16", "169.254.0.0/16")]
inner_addresses = st.sampled_from(INNER_V4).flatmap(
    lambda network: st.integers(0, network.num_addresses - 1).map(lambda place: network[place])
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_address_is_public(address: str) -> None:
    assert is_public(address)


def wrapped(address: IPv4Address) -> list[str]:
    """An IPv4 address in the clothes of IPv6."""
    prefixes = (0xFFFF << 32, 0, 0x64_FF9B << 96, 0x2002 << 112, 0x2001 << 112)
    shifts = (0, 0, 0, 80, 0)
    return [str(IPv6Address(start + (int(address) << shift))) for start, shift in zip(prefixes, shifts, strict=True)]


@given(inner_addresses)
def test_inner_address_is_found_in_whatever_it_is_wrapped(address: IPv4Address) -> None:
    assert [each for each in [str(address), *wrapped(address)] if is_public(each)] == []


def odd_forms(address: IPv4Address) -> list[str]:
    """An IPv4 address as `inet_aton` reads it too."""
    number, (a, b, c, d) = int(address), address.packed
    return [
        str(number), hex(number), f"{a}.{(b << 16) + (c << 8) + d}", f"{a}.{b}.{(c << 8) + d}", f"0{a:o}.{b}.{c}.{d}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"{address}.", f"0{number:o}",
    ]  # fmt: skip


@given(inner_addresses, st.sampled_from(["127.0.0.1:443", "hooks.example:443"]))
def test_odd_form_of_an_address_is_refused_as_it_is_entered(address: IPv4Address, allowed: str) -> None:
    for form in [*odd_forms(address), *wrapped(address), str(address)]:
        if authority_of(form, 443) != allowed:
            assert why_not(form, 443, {443}, {allowed}) is not None


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://hooks.example/x", None),
        ("https://hooks.example:443/x", None),
        ("https://1.1.1.1/x", None),
        ("https://fe-ed.2x/x", None),
        ("http://inner.example:8080/x", None),
        ("https://10.0.0.7:9000/x", None),
        ("https://[fd00::7]:9000/x", None),
        ("http://hooks.example/x", "must begin with https://. To send there on purpose, allow it: "),
        ("https://hooks.example:8443/x", "SENTRYML_ALLOWED_HOSTS=hooks.example:8443"),
        ("https://hooks.example:0/x", "port 0"),
        ("https://inner.example:8081/x", "port 8081"),
        ("https://user:secret@hooks.example/x", "must not hold a user name"),
        ("http://user@inner.example:8080/x", "must not hold a user name"),
        ("https://hooks.example/x#secret", "#fragment"),
        ("https://127.0.0.1/x", "not public"),
        ("https://[::ffff:10.0.0.7]:9000/x", "port 9000"),
        ("https://[::ffff:10.0.0.7]/x", "not public"),
        ("https://2130706433/x", "unusual form"),
        ("https://0x7f000001/x", "unusual form"),
        ("https://127.0.0.1./x", "unusual form"),
        ("ftp://hooks.example/x", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("//hooks.example/x", "must begin with https://"),
        ("https:///x", "must begin with https://"),
    ],
)
def test_url_may_be_sent_to(url: str, text: str | None) -> None:
    guard = Guard({"inner.example:8080", "10.0.0.7:9000", "[fd00::7]:9000"})
    reported = guard.why_not_url(httpx.URL(url))
    assert (reported is None) == (text is None)
    assert (text or "") in (reported or "")
    assert "secret" not in (reported or "")


def test_list_of_allowed_hosts() -> None:
    assert read_allowed_hosts(" A.example:8080, [fd00::7]:9000,,10.0.0.7:9000") == {
        "a.example:8080",
        "[fd00::7]:9000",
        "10.0.0.7:9000",
    }
    for wrong in ("a.example", "http://a.example:80", "a.example:http", "a.example:0", "a:70000", "u@a.example:80"):
        with pytest.raises(ValueError, match="is not host:port"):
            read_allowed_hosts(f"b.example:1,{wrong}")
