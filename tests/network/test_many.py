"""Many networks and containers at once, made, removed and killed at random: nothing is given twice and nothing is left."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.machine import eventually, leftovers
from tests.network.places import links
from tuidock.engine import reconcile
from tuidock.engine.networks import Wanted
from tuidock.network import nftables

NETWORKS, CONTAINERS = 60, 40


@pytest.mark.usefixtures("busybox")
def test_nothing_is_given_twice_and_nothing_is_left(engine, cli, roots, monkeypatch):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)

    def network(number: int) -> str:
        made = engine.networks.create(Wanted(f"n{number}", ipv6=number % 2 == 1))
        if number % 3 == 0:
            engine.networks.remove(f"n{number}")
            return ""
        return str(made.pools[0].subnet)

    with ThreadPoolExecutor(12) as pool:
        nets = [net for net in pool.map(network, range(NETWORKS)) if net]
    assert len(set(nets)) == len(nets) == NETWORKS - NETWORKS // 3
    assert len(links(f"td{roots.mark}-")) == len(nets) + 1

    plans = [
        (chance.choice([n for n in range(NETWORKS) if n % 3]), chance.uniform(0, 0.6), chance.random() < 0.6)
        for _ in range(CONTAINERS)
    ]

    def container(plan: tuple[int, float, bool]) -> None:
        number, delay, dies = plan
        process = cli.start("run", "--rm", "--net", f"n{number}", "--net", "bridge", "-p", "80", "busybox", "true")
        if dies:
            time.sleep(delay)
            process.kill()
        process.communicate()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(container, plans))
    monkeypatch.setattr(reconcile, "SWEEP_AFTER", 0.0)  # of folders that got no row
    assert eventually(lambda: not any(one.running for one in engine.containers.list(all=True)), seconds=20), seed
    for one in engine.containers.list(all=True):
        engine.containers.remove(one.id, force=True)
    for table in ("leases", "ports", "endpoints"):
        assert engine.database.rows(f"SELECT * FROM {table}") == [], seed
    for number in range(NETWORKS):
        if number % 3:
            engine.networks.remove(f"n{number}")
    assert eventually(lambda: not leftovers(roots), seconds=20), (seed, leftovers(roots))
    assert links(f"td{roots.mark}-") == {roots.bridge("0")}
    assert [len(nftables.elements(roots.cgroup, name)) for name in ("any4", "any6", "self4", "self6", "bridges", "same")] == [
        0,
        0,
        0,
        0,
        1,
        1,
    ]
