"""Filters that let no ICMP error through."""

from __future__ import annotations

import pytest

from analyzer.api.unheard import hides_icmp_errors
from tests.explain.test_causes import IPV6
from tests.script import HOSTS, Hosts, play


@pytest.mark.parametrize("hosts", [HOSTS, IPV6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    ("expression", "is_hidden"),
    [("", False), (" ", False), ("tcp", True), ("port 80", True), ("tcp port 80 or icmp or icmp6", False),
     ("ip or ip6", False), ("host {client}", False), ("host {server}", True), ("wlan type mgt", False)],
)  # fmt: skip
def test_what_a_filter_hides(expression: str, is_hidden: bool, hosts: Hosts) -> None:
    story = play("C > S S 100", hosts).reconstruction
    expression = expression.format(client=hosts["C"][0], server=hosts["S"][0])
    assert hides_icmp_errors(expression, story.connections[0]) == is_hidden
