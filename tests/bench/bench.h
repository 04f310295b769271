/* What the load generator and its own trivial responder share: the plan, frames, OpenFlow 1.3 messages.
 *
 * Every connection has a number. Its 5-tuple is made of it, so that a frame or a match tells the number:
 * source 10.(access switch).hi.lo, source port 1024 + low byte, server 172.16.(gateway switch).x port 5001.
 * Switches are numbered from 1, as their datapath ids. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

enum {
    MAX_SWITCHES = 64, MAX_CONNECTIONS = 1 << 24, MAX_WAYPOINTS = 64, MAX_GREETINGS = 256,
    SPORT_BASE = 1024, SERVICE = 5001,
    ACCESS_PORT = 1, GATEWAY_PORT = 2, ROLE_ACCESS = 1, ROLE_MCP = 2, ROLE_GATEWAY = 3,
};

enum {
    HELLO = 0, ERROR = 1, ECHO_REQUEST = 2, ECHO_REPLY = 3, FEATURES_REQUEST = 5, FEATURES_REPLY = 6,
    GET_CONFIG_REQUEST = 7, GET_CONFIG_REPLY = 8, PACKET_IN = 10, PORT_STATUS = 12, PACKET_OUT = 13, FLOW_MOD = 14,
    MULTIPART_REQUEST = 18, MULTIPART_REPLY = 19, BARRIER_REQUEST = 20, BARRIER_REPLY = 21,
    ROLE_REQUEST = 24, ROLE_REPLY = 25,
};

/* Why a packet came up, as in steering.model.rules.PacketClass. */
enum { CLASS_SYN = 5, CLASS_SYN_ACK = 6, CLASSES = 8 };

struct waypoint { uint16_t id; int sw; uint32_t port; };

/* A packet-in sent once before the measuring, so that the controller knows a neighbour. */
struct greeting { int sw, class; uint32_t port; uint64_t metadata; uint8_t frame[128]; size_t length; };

struct plan {
    int switches;
    int learning;            /* the peer is a learning switch: no server leg, no label */
    struct waypoint waypoints[MAX_WAYPOINTS];
    int n_waypoints;
    struct greeting greetings[MAX_GREETINGS];
    int n_greetings;
    uint32_t *tokens;        /* of connection i, whose MCP's key is KEY_BASE + i */
    uint32_t n_tokens;
    uint8_t *shared;         /* whether another connection has the same token */
};

#define KEY_BASE 0x5354000000000000ull

struct buffer { uint8_t *data; size_t length, room; };

/* One TCP connection of the OpenFlow channel, on either side. */
struct line { int fd; struct buffer in, out; };

/* A connection's match or frame, as far as it tells the connection's number. */
struct tuple { uint32_t src, dst; uint16_t sport, dport; };

void die(const char *what);
void read_plan(const char *path, struct plan *plan);
uint64_t now_ns(void);

uint8_t *extend(struct buffer *to, size_t more);
void message(struct buffer *to, int type, uint32_t xid, const void *body, size_t length);
int receive(struct line *line);      /* reads what there is; -1 when the connection has ended */
void flush(struct line *line);
void set_up_socket(int fd);

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static inline uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) << 32 | get32(p + 4); }
static inline void put16(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v & 0xffff); }
static inline void put64(uint8_t *p, uint64_t v) { put32(p, (uint32_t)(v >> 32)); put32(p + 4, (uint32_t)v); }

struct tuple tuple_of(uint32_t number, int access, int gateway);
struct tuple reversed(struct tuple t);
/* The number of the connection, and whether `t` is its way back; -1 for what is none of ours. */
int64_t number_of(struct tuple t, int *back);
static inline int access_of(struct tuple t) { return t.src >> 16 & 0xff; }
static inline int gateway_of(struct tuple t) { return t.dst >> 8 & 0xff; }

/* Frames: SYN with MP_CAPABLE (no token) or MP_JOIN, and SYN/ACK with MP_CAPABLE and a key. */
size_t frame_syn(uint8_t *to, struct tuple t, uint32_t seq, const uint32_t *token);
size_t frame_syn_ack(uint8_t *to, struct tuple t, uint32_t isn, uint64_t key); /* answers the SYN with `isn` */
int tuple_of_frame(const uint8_t *frame, size_t length, struct tuple *t);

void packet_in(struct buffer *to, uint64_t cookie, uint32_t port, uint64_t metadata, const uint8_t *frame,
               size_t length);
int tuple_of_match(const uint8_t *match, size_t room, struct tuple *t);

int respond(const struct plan *plan, int port);
int generate(const struct plan *plan, const char *host, int port);

#endif
