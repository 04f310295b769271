"""The REST and metrics of a running controller: WSGI application, credentials, roles, events, OpenAPI.

`http` knows no resource, `auth` says who asks, `schema` what bodies look like, `resources` does the work; `composition`
puts one object of each together. Nothing is imported here: who reads credentials needs no webob, Routes, pydantic and
prometheus_client in memory.
"""
