"""HTTP without a server: the WSGI application, bounds of a request, errors, conditional requests, event streams.

Routes are data here. This package imports no resource: `composition` passes the routes in.
"""
