/* State that the two halves of the load generator share: connections.c talks OpenFlow, generator.c drives it. */
#ifndef LOAD_H
#define LOAD_H

#include "bench.h"

enum mode { SETUP, SYN, FINISH, JOIN, PAIR, MODES };
enum { IDLE = 0, ASKED = 1, RELEASED = 2 };                 /* stage of a connection */
enum { UP = 1, BACK = 2, UP_TOKEN = 4, BACK_TOKEN = 8 };    /* rules seen */

struct connection {
    uint64_t began;
    uint32_t mark;                      /* barriers answered by the gateway switch when its rule came */
    uint32_t up_entry, back_entry;      /* where its switches hold its entries (held.c); 0: nowhere */
    uint16_t waypoint;
    uint8_t access, gateway, stage, seen, mode;
};

struct fake {
    struct line line;
    int known, dpid;
    uint32_t barriers;
    uint64_t asked;                     /* how often for its entries */
    uint64_t cookies[CLASSES];          /* of the rules that punt, by packet class */
};

struct counts {
    uint64_t flow_mods, packet_outs, barriers, errors, order_errors, token_errors, unknown, unexpected;
};

struct job {
    enum mode mode;
    int issuing, outstanding, paced;    /* paced: connections begin at their times, not when others are done */
    uint32_t next, targets, join_next;
    uint64_t measured_from, until, completed, in_window, count;
    uint32_t *latencies, n_latencies;
};

enum { MAX_LATENCIES = 1 << 21 };

extern const struct plan *plan;
extern struct fake fakes[MAX_SWITCHES];
extern struct connection *connections;
extern uint32_t *open_numbers, n_open;      /* what `syn` left for `finish` */
extern uint64_t last_rule;                  /* when a rule or barrier came last */
extern struct counts counts;
extern struct job job;

static inline struct fake *fake_of(int dpid) { return &fakes[dpid - 1]; }

/* Open the next connection on a switch, if the job wants one more. */
void open_next(struct fake *access);
/* The way of port `port` goes down or comes back. */
void tell_port(struct fake *at, uint32_t port, int down);
/* A switch holds an entry from now on, in `slot` if it did so before; `mod`: the flow-mod. */
void hold(int dpid, uint32_t *slot, const uint8_t *mod, size_t length);
void let_go(int dpid, uint32_t slot);
/* Answer a question for entries by cookie and mask. */
void answer_flows(struct fake *at, uint32_t xid, const uint8_t *request);
/* One message from the controller. */
void take(struct fake *at, const uint8_t *data, size_t length);

#endif
