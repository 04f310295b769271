"""The attacks of docs/security.rst in one run, and a table of what held."""
