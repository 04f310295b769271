"""The same datagram behind every link layer that captures have, as (link type, bytes before the datagram)."""

from steering.trace.links import LinkType

_MACS = "0200000000ff020000000001"
_COOKED_V1 = "0000 0001 0006 020000000001 0000"
_COOKED_V2 = "0000 00000002 0001 00 06 020000000001 0000"
_FORMS = {  # {E}: EtherType, {P}: PPP protocol number
    "ethernet": (LinkType.ETHERNET, f"{_MACS} {{E}}"),
    "one tag": (LinkType.ETHERNET, f"{_MACS} 8100 0064 {{E}}"),
    "three tags": (LinkType.ETHERNET, f"{_MACS} 88a8 0064 8100 0065 8100 0066 {{E}}"),
    "old stacked tags": (LinkType.ETHERNET, f"{_MACS} 9100 0064 8100 0065 {{E}}"),
    "snap": (LinkType.ETHERNET, f"{_MACS} 0060 aaaa03 000000 {{E}}"),
    "pppoe": (LinkType.ETHERNET, f"{_MACS} 8864 1100 0001 0050 {{P}}"),
    "pppoe in a tag": (LinkType.ETHERNET, f"{_MACS} 8100 0007 8864 1100 0001 0050 {{P}}"),
    "mpls": (LinkType.ETHERNET, f"{_MACS} 8847 0001 0140"),
    "three labels": (LinkType.ETHERNET, f"{_MACS} 8847 0001 0040 0002 0040 0003 0140"),
    "tagged mpls": (LinkType.ETHERNET, f"{_MACS} 8100 0007 8847 0001 0040 0003 0140"),
    "ethernet over mpls": (LinkType.ETHERNET, f"{_MACS} 8847 0001 0140 00000000 {_MACS} {{E}}"),
    "backbone tag": (LinkType.ETHERNET, f"{_MACS} 88e7 00000007 {_MACS} {{E}}"),
    "null, little-endian": (LinkType.NULL, "{N}000000"),
    "null, big-endian": (LinkType.NULL, "000000{N}"),
    "loop": (LinkType.LOOP, "000000{N}"),
    "enc": (LinkType.ENC, "{N}000000 00000000 00000000"),
    "ppp": (LinkType.PPP, "ff03 {P}"),
    "ppp without address": (LinkType.PPP, "{P}"),
    "ppp with a short protocol": (LinkType.PPP, "ff03 {S}"),
    "ppp serial": (LinkType.PPP_SERIAL, "ff03 {P}"),
    "ppp, mpls": (LinkType.PPP, "ff03 0281 0001 0140"),
    "hdlc on a ppp line": (LinkType.PPP_SERIAL, "0f00 {E}"),
    "pppoe alone": (LinkType.PPPOE, "1100 0001 0050 {P}"),
    "pppd": (LinkType.PPP_PPPD, "0003 {P}"),
    "ppp with direction": (LinkType.PPP_DIRECTION, "00 ff03 {P}"),
    "hdlc": (LinkType.CISCO_HDLC, "0f00 {E}"),
    "raw": (LinkType.RAW, ""),
    "raw, old": (LinkType.RAW_OLD, ""),
    "raw, openbsd": (LinkType.RAW_OPENBSD, ""),
    "labels alone": (LinkType.MPLS, "0001 0040 0003 0140"),
    "cooked v1": (LinkType.COOKED_V1, f"{_COOKED_V1} {{E}}"),
    "cooked v1, tagged": (LinkType.COOKED_V1, f"{_COOKED_V1} 8100 0064 {{E}}"),
    "cooked v1, pppoe": (LinkType.COOKED_V1, f"{_COOKED_V1} 8864 1100 0001 0050 {{P}}"),
    "cooked v2": (LinkType.COOKED_V2, f"{{E}} {_COOKED_V2}"),
    "cooked v2, tagged": (LinkType.COOKED_V2, f"8100 {_COOKED_V2} 0064 {{E}}"),
    "cooked v2, mpls": (LinkType.COOKED_V2, f"8847 {_COOKED_V2} 0003 0140"),
}

NAMES = tuple(_FORMS)
FAMILIES_OF_IPV6 = ("0a", "17", "18", "1c", "1e")  # Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin


def dressed(name: str, datagram: bytes, family: str = "18") -> tuple[LinkType, bytes]:
    """(link type, frame): the datagram in the link layer of that name; `family`: the number of IPv6, in hex."""
    link, form = _FORMS[name]
    if datagram[0] >> 4 == 4:
        head = form.format(E="0800", P="0021", S="21", N="02")
    else:
        head = form.format(E="86dd", P="0057", S="57", N=family)
    return link, bytes.fromhex(head) + datagram
