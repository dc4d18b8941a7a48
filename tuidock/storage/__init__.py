"""State on disk: paths, the database, the blob store, unpacked layers, locks."""
