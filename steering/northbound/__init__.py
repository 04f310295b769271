"""The REST and metrics of a running controller: WSGI application, credentials, roles, events, OpenAPI.

`http` is the WSGI application and knows no resource. `auth` finds out who sent a request. `schema` describes the bodies.
`resources` has one class for each REST resource. `composition` makes one object of each and connects them. This file
imports nothing: a command that only reads credentials must not load webob, Routes, pydantic and prometheus_client.
"""
