"""The URL of a NUT link."""

from pathlib import Path
import ssl

import pytest

from ridethrough.clock import ManualClock
from ridethrough.links.base import Credentials, LinkUrl
from ridethrough.links.context import LinkContext
from ridethrough.links.nut import NutLink
from ridethrough.links.nut.options import understand
from ridethrough.links.ports import SerialPorts
from ridethrough.links.schemes import LINKS, open_link

from .conftest import Certificate

CLOCK = ManualClock()
PORTS = SerialPorts(CLOCK)


def test_a_url_names_host_port_and_ups() -> None:
    options = understand(LinkUrl.parse("nut://10.0.0.7:3500/rack%20ups?poll=0.5&timeout=2"), "")
    assert (options.address.host, options.address.port, options.ups) == ("10.0.0.7", 3500, "rack ups")
    assert (options.poll, options.address.patience) == (0.5, 2.0)
    assert options.address.tls is None


def test_what_is_left_out_has_its_usual_value() -> None:
    options = understand(LinkUrl.parse("nut://nas"), "")
    assert (options.address.port, options.ups, options.poll, options.address.patience) == (3493, None, 1.0, 5.0)
    assert str(options.address) == "upsd at nas:3493"
    assert str(understand(LinkUrl.parse("nut://[::1]/a"), "").address) == "upsd at [::1]:3493"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nut:/ups1", "names no host"),
        ("nut://h/a/b", "names no UPS"),
        ("nut://h/a?baud=2400", "permitted: poll, timeout, tls, ca, verify"),
        ("nut://h/a?poll=0", "poll=0 is not possible; permitted: 0.1 to 60 seconds"),
        ("nut://h/a?poll=often", "poll=often is not possible"),
        ("nut://h/a?timeout=nan", "timeout=nan is not possible"),
        ("nut://h/a?tls=maybe", "tls=maybe is not possible; permitted: yes, no"),
        ("nut://h/a?tls=no&verify=no", "need tls=yes"),
        ("nut://h/a?tls=no&ca=x", "need tls=yes"),
        ("nut://h/a?ca=x&verify=no", "contradict"),
        ("nut://h/a?ca=/nowhere.pem", "is no file"),
        ("megatron:/dev/null", "There is no link called megatron"),
        ("/dev/ttyS0", "must start with a scheme"),
    ],
)
def test_a_wrong_url_is_told_in_a_sentence(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        open_link(url, Credentials(), LinkContext(CLOCK, PORTS))


def test_a_file_without_a_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no certificate"):
        open_link(f"nut://h/a?ca={tmp_path}/empty.pem", Credentials(), LinkContext(CLOCK, PORTS))


def test_encryption_verifies_unless_told_otherwise(certificate: Certificate) -> None:
    def verifies(query: str) -> tuple[ssl.VerifyMode, bool]:
        context = understand(LinkUrl.parse(f"nut://h/a?{query}"), "").address.tls
        assert context is not None
        return context.verify_mode, context.check_hostname

    assert verifies("tls=yes") == (ssl.CERT_REQUIRED, True)
    assert verifies(f"ca={certificate.certificate}") == (ssl.CERT_REQUIRED, True)
    assert verifies("verify=no") == (ssl.CERT_NONE, False)
    assert verifies("tls=yes&verify=yes") == (ssl.CERT_REQUIRED, True)


def test_nut_is_a_scheme_whose_example_can_be_opened() -> None:
    kind = LINKS["nut"]
    assert isinstance(open_link(kind.example, Credentials(), LinkContext(CLOCK, PORTS)), NutLink)


def test_values_grow_stale_later_when_polls_are_rare() -> None:
    assert open_link("nut://h/a", Credentials(), LinkContext(CLOCK, PORTS)).deadline == 8.0
    assert open_link("nut://h/a?poll=20", Credentials(), LinkContext(CLOCK, PORTS)).deadline == 65.0
