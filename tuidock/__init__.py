"""A container manager for the terminal, with the engine inside."""

__version__ = "0.1.0"
