"""Names for containers that were given none: an adjective and a place under the sea, where the docks end."""

from __future__ import annotations

import os

ADJECTIVES = (
    "amber", "ample", "azure", "bold", "brave", "brisk", "calm", "clear", "coral", "crisp", "deep", "eager", "early",
    "fair", "fleet", "frosty", "gentle", "glad", "golden", "grand", "green", "happy", "hardy", "hidden", "humble",
    "icy", "jolly", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mighty", "misty", "modest", "neat",
    "nimble", "noble", "pale", "patient", "placid", "polar", "proud", "quick", "quiet", "rapid", "ready", "royal",
    "rustic", "salty", "serene", "sharp", "shiny", "silent", "silver", "sleek", "smooth", "solid", "spry", "stable",
    "steady", "stout", "sunny", "sturdy", "swift", "tidal", "tidy", "tranquil", "true", "vivid", "warm", "wild", "wise",
)  # fmt: skip
NOUNS = (
    "anchor", "atoll", "barge", "bay", "beacon", "bell", "bight", "bollard", "brig", "buoy", "cape", "capstan", "cargo",
    "channel", "clipper", "compass", "cove", "crane", "cutter", "delta", "dinghy", "dock", "dory", "estuary", "ferry",
    "fjord", "foghorn", "frigate", "galley", "gangway", "harbor", "hatch", "haven", "helm", "hull", "inlet", "isle",
    "jetty", "kayak", "keel", "ketch", "lagoon", "lantern", "lighter", "lock", "lugger", "marina", "mast", "mooring",
    "oar", "pier", "pilot", "port", "prow", "quay", "raft", "reef", "rigging", "rudder", "sail", "schooner", "sextant",
    "shoal", "skiff", "sloop", "sound", "spar", "strait", "tide", "tiller", "trawler", "tug", "wharf", "yawl",
)  # fmt: skip


def suggest(attempt: int) -> str:
    """A name; with a number from the second attempt on."""
    first, second, number = os.urandom(3)
    name = f"{ADJECTIVES[first % len(ADJECTIVES)]}_{NOUNS[second % len(NOUNS)]}"
    return f"{name}{number % 100}" if attempt else name
