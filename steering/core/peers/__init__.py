"""Knows: that a site has several controllers, which controller has which switches and sessions, and what they exchange.
May touch: sessions, handshakes and the network, by their public methods.
Must not: decide about another controller's session, or be loaded where there is only one controller.
"""
