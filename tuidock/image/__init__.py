"""Images: find and name them, bring them in and out, unpack their layers."""
