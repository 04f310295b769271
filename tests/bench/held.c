/* The session entries that a fake switch holds, and its answer to questions for them, as Open vSwitch gives it. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

enum { PART = 60000, BEFORE_MATCH = 48 };      /* bytes of one part of an answer; of an entry in front of its match */

struct entry {
    uint64_t cookie;                            /* 0: removed */
    size_t at;                                  /* of its match and instructions in the switch's bytes */
    uint16_t length, priority;
    uint8_t table;
};

struct shelf {
    struct entry *entries;
    uint32_t count, room;
    struct buffer bytes;
};

static struct shelf shelves[MAX_SWITCHES];

void hold(int dpid, uint32_t *slot, const uint8_t *mod, size_t length)
{
    struct shelf *shelf = &shelves[dpid - 1];
    uint16_t size = (uint16_t)(length - 48);
    if (!*slot || shelf->entries[*slot - 1].length != size) {
        if (shelf->count == shelf->room) {
            shelf->room = shelf->room ? 2 * shelf->room : 4096;
            shelf->entries = realloc(shelf->entries, shelf->room * sizeof *shelf->entries);
            if (!shelf->entries)
                die("out of memory");
        }
        if (*slot)
            shelf->entries[*slot - 1].cookie = 0;
        shelf->entries[shelf->count].at = shelf->bytes.length;
        extend(&shelf->bytes, size);
        *slot = ++shelf->count;
    }
    struct entry *entry = &shelf->entries[*slot - 1];
    entry->cookie = get64(mod + 8);
    entry->table = mod[24];
    entry->priority = get16(mod + 30);
    entry->length = size;
    memcpy(shelf->bytes.data + entry->at, mod + 48, size);
}

void let_go(int dpid, uint32_t slot)
{
    if (slot)
        shelves[dpid - 1].entries[slot - 1].cookie = 0;
}

static void begin_part(struct buffer *part)
{
    part->length = 0;
    memset(extend(part, 8), 0, 8);
    put16(part->data, 1);                       /* OFPMP_FLOW */
}

void answer_flows(struct fake *at, uint32_t xid, const uint8_t *request)
{
    static struct buffer part;
    struct shelf *shelf = &shelves[at->dpid - 1];
    uint64_t cookie = get64(request + 32), mask = get64(request + 40);
    begin_part(&part);
    for (uint32_t i = 0; i < shelf->count; i++) {
        const struct entry *entry = &shelf->entries[i];
        if (!entry->cookie || (entry->cookie ^ cookie) & mask)
            continue;
        size_t length = BEFORE_MATCH + entry->length;
        if (part.length + length > PART) {
            put16(part.data + 2, 1);            /* more follows */
            message(&at->line.out, MULTIPART_REPLY, xid, part.data, part.length);
            begin_part(&part);
        }
        uint8_t *to = extend(&part, length);
        memset(to, 0, BEFORE_MATCH);
        put16(to, (unsigned)length);
        to[2] = entry->table;
        put32(to + 4, 1);
        put16(to + 12, entry->priority);
        put64(to + 24, entry->cookie);
        put64(to + 32, 1 + at->asked);          /* packets: every question finds some more */
        put64(to + 40, 100 * (1 + at->asked));
        memcpy(to + BEFORE_MATCH, shelf->bytes.data + entry->at, entry->length);
    }
    at->asked++;
    message(&at->line.out, MULTIPART_REPLY, xid, part.data, part.length);
}
