"""An OCI runtime: a bundle in, a process out.  Standard library, `oci` and `errors` only."""
