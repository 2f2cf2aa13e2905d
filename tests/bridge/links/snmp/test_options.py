"""URLs and credentials of SNMP links."""

import pytest

from ridethrough.links import check_link
from ridethrough.links.base import Credentials, LinkUrl
from ridethrough.links.snmp.options import understand


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("snmp:", "names no host"),
        ("snmp://card/path", "has a path"),
        ("snmp://card?version=4", "version=4 is not possible; permitted: 1, 2c, 3"),
        ("snmp://card?auth=sha", "need version=3"),
        ("snmp://card?version=3&privacy=aes", "privacy= needs auth="),
        ("snmp://card?version=3&auth=sha1", "permitted: md5, sha, sha224"),
        ("snmp://card?mib=mine", "permitted: rfc1628, extension"),
        ("snmp://card?poll=0", "permitted: 1 to 3600 seconds"),
        ("snmp://card?colour=red", "knows no option colour"),
    ],
)
def test_wrong_url_says_what_is_permitted(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_link(url)


def test_url_alone_is_enough_to_be_checked() -> None:
    check_link("snmp://card:1161?version=3&auth=sha256&privacy=aes256&poll=10&timeout=1")


def test_short_passphrases_are_refused_before_anything_is_sent() -> None:
    url = LinkUrl.parse("snmp://card?version=3&auth=sha&privacy=aes")
    with pytest.raises(ValueError, match="password of an SNMPv3 user must have 8 characters"):
        understand(url, Credentials(username="me", password="short"), "")
    with pytest.raises(ValueError, match="privacy_password of an SNMPv3 user must have 8"):
        understand(url, Credentials(username="me", password="long enough", privacy_password="short"), "")


def test_defaults_and_where_secrets_come_from() -> None:
    options = understand(LinkUrl.parse("snmp://card"), Credentials(), "")
    assert (options.port, options.version, options.community, options.poll) == (161, "2c", "public", 5)
    assert options.user is None
    written = understand(LinkUrl.parse("snmp://card?community=url"), Credentials(community="file"), "")
    assert written.community == "file"
    assert "file" not in repr(written)
    url = LinkUrl.parse("snmp://[fe80::1]:1161?version=3&auth=md5&privacy=des")
    user = understand(url, Credentials(username="me", password="long enough"), "").user
    assert user is not None
    assert user.privacy_password == "long enough"
    assert "long enough" not in repr(user)
    assert str(understand(url, Credentials(username="me", password="long enough"), "")) == "[fe80::1]:1161"
