"""REST on eventlet's server: connections and their places, requests bounded in time, long work beside the switches' thread.

Knows settings and the northbound. Must not know what an answer says, nor how the controller was put together.
"""
