"""What operators order of a running controller: policies, MCPs, drains and ends, checked and carried out.

Knows the declared site, policies and the engine's inputs. Must not know REST's server, which hands orders over.
"""
