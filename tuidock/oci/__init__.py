"""The field's terms as values: digests, references, images, and the runtime's configuration."""
