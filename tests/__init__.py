"""The tests of tuidock.  The folders mirror tuidock/; e2e/ are whole journeys, bench/ are figures."""
