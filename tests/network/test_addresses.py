"""Subnets, pools and leases as values; the same answers from the standard library's ipaddress, which is too slow for `run`."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuidock.errors import Conflict, UsageError
from tuidock.network import addresses
from tuidock.network.addresses import Subnet
from tuidock.storage.database import Database
from tuidock.storage.paths import Roots

NETS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address), st.integers(1, 32)),
    st.tuples(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address), st.integers(1, 128)),
).map(lambda pair: f"{pair[0]}/{pair[1]}")


@given(NETS, NETS)
def test_subnets_are_what_ipaddress_says(a, b):
    mine, theirs = addresses.subnet(a), ipaddress.ip_network(a, strict=False)
    assert ipaddress.ip_network(str(mine)) == theirs
    assert (mine.first, mine.last) == (int(theirs.network_address), int(theirs.broadcast_address))
    assert mine.overlaps(addresses.subnet(b)) == theirs.overlaps(ipaddress.ip_network(b, strict=False))
    assert addresses.address(str(theirs.network_address)) in mine


@pytest.mark.parametrize(
    "words", ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/0", "10.0.0/8", "a/8", "fd00::/129", "10.0.0.0/-1", "1/2/3"]
)
def test_what_is_no_subnet_is_refused(words):
    with pytest.raises(UsageError):
        addresses.subnet(words)


@pytest.mark.parametrize(
    "words", ["", "02:42:ac:11:00", "02:42:ac:11:00:0g", "01:00:00:00:00:00", "2:42:ac:11:0:2", "02:42:ac:11:00:02:03"]
)
def test_what_is_no_mac_is_refused(words):
    with pytest.raises(UsageError):
        addresses.mac(words)


def test_the_pools_are_used_up_before_it_is_an_error():
    taken: list[Subnet] = []
    for _ in range(15 * 16 + 16 + 20):
        taken.append(addresses.free_net(taken).subnet)
    taken += [Subnet(bytes((10, 64 + number // 16, number % 16 * 16, 0)), 20) for number in range(20, 1023)]
    taken.append(addresses.free_net(taken).subnet)
    assert all(not one.overlaps(other) for one, other in itertools.pairwise(taken))
    assert [str(taken[at]) for at in (0, 239, 240, 256, -1)] == [
        "172.17.0.0/20", "172.31.240.0/20", "192.168.0.0/20", "10.64.0.0/20", "10.127.240.0/20",
    ]  # fmt: skip
    with pytest.raises(Conflict, match="fully subnetted"):
        addresses.free_net(taken)


def test_a_route_into_the_middle_of_a_net_takes_it():
    assert str(addresses.free_net([addresses.subnet("172.17.15.255/32")]).subnet) == "172.17.16.0/20"


@pytest.fixture
def database(tmp_path) -> Database:
    roots = Roots(str(tmp_path / "root"), str(tmp_path / "run"))
    roots.make()
    made = Database(roots)
    with made.transaction() as transaction:
        transaction.execute("INSERT INTO networks VALUES ('n', 'n', 'bridge', 'l', 0, 0, '[]', '{}', '{}', 0)")
        for name in [str(number) for number in range(16)]:
            transaction.execute(
                "INSERT INTO containers (id, name, image, image_name, chain_ids, request, config, created_at, status)"
                " VALUES (?, ?, '', '', '', '', '', 0, 'running')", (name, name),
            )  # fmt: skip
    return made


def lease(database, pool, container, ip=""):
    with database.transaction() as transaction:
        (given,) = addresses.lease(transaction, "n", "n", [pool], container, {4: ip})
        return ipaddress.ip_address(given).exploded


def give_back(database, container):
    with database.transaction() as transaction:
        transaction.execute("DELETE FROM leases WHERE container = ?", (container,))


def test_addresses_go_round(database):
    pool = addresses.make_pool("10.0.0.0/29", "10.0.0.4")
    assert [lease(database, pool, str(number)) for number in range(5)] == [f"10.0.0.{last}" for last in (1, 2, 3, 5, 6)]
    with pytest.raises(Conflict, match=r"no address left in 10.0.0.0/29"):
        lease(database, pool, "5")
    give_back(database, "4")
    give_back(database, "1")
    assert [lease(database, pool, str(number)) for number in (5, 6)] == ["10.0.0.2", "10.0.0.6"]


def test_an_address_that_was_just_given_back_waits_for_its_turn(database):
    pool = addresses.make_pool("10.0.0.0/24")
    first = lease(database, pool, "0")
    give_back(database, "0")
    assert lease(database, pool, "0") != first


def test_an_address_by_name_is_skipped_by_the_round(database):
    pool = addresses.make_pool("10.0.0.0/24")
    assert lease(database, pool, "0", "10.0.0.3") == "10.0.0.3"
    assert [lease(database, pool, str(number)) for number in (1, 2)] == ["10.0.0.2", "10.0.0.4"]
