"""What keys of a subject do: a file for each kind of subject."""
