"""Knows: that a site has several controllers, which sessions and switches are whose, and what each is told of them.
May touch: sessions, handshakes and the network, by what these offer.
Must not: decide of another controller's session, or be made where there is one controller alone.
"""
