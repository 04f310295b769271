"""HTTP without a server: the WSGI application, bounds of a request, errors, conditional requests, event streams.

It knows routes as data and no resource: the registry is given to it.
"""
