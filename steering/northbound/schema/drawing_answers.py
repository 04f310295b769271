"""Schemas of the network's picture and of a session's paths through the network (`steering.model.drawing`)."""

from steering.northbound.schema.shapes import (
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Json,
    closed,
    described,
    listed,
    maybe,
    one_of,
    reference,
)

_USE = described(maybe(NUMBER), "Utilisation, 0 to 1; null: not known")

DRAWING: dict[str, Json] = {
    "Layout": closed(nodes=listed(reference("DrawnNode")), links=listed(reference("DrawnLink"))),
    "DrawnNode": closed(
        id=described(TEXT, "Unique in the drawing"),
        kind=one_of("switch", "access", "gateway", "mcp"),
        name=TEXT,
        up=FLAG,
        ports=described(
            listed(closed(switch=TEXT, port=TEXT, up=FLAG, use=_USE)), "Where it hangs; none of a switch"
        ),
        x=described(NUMBER, "0 to 1, accesses left"),
        y=described(NUMBER, "0 to 1, from the top"),
    ),
    "DrawnLink": closed(
        name=TEXT,
        a=TEXT,
        b=TEXT,
        between=described(listed(TEXT), "Its two switches"),
        up=FLAG,
        weight=maybe(NUMBER),
        use=_USE,
        bends=described(listed(listed(NUMBER)), "Points that it passes, from its first end"),
    ),
    "SessionPaths": closed(
        id=TEXT,
        mcp=maybe(TEXT),
        subflows=listed(
            closed(
                src=TEXT,
                sport=WHOLE,
                dst=TEXT,
                dport=WHOLE,
                access_network=maybe(TEXT),
                natural=described(listed(TEXT), "Switches, from its access on, were it not steered"),
                pinned=described(listed(TEXT), "Switches up to its MCP"),
            )
        ),
        onward=described(listed(TEXT), "Switches from the MCP to the gateway"),
    ),
}
