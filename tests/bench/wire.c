/* Plan, buffers, frames and OpenFlow 1.3 messages. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
    fprintf(stderr, "generator: %s\n", what);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* ---- plan ------------------------------------------------------------------------------------ */

static int by_token(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Some of so many tokens are alike. A controller must refuse a join for such a one, so none is asked for. */
static void mark_shared(struct plan *plan)
{
    uint32_t *sorted = malloc(4 * ((size_t)plan->n_tokens + 1)), n_shared = 0;
    plan->shared = calloc((size_t)plan->n_tokens + 1, 1);
    if (!sorted || !plan->shared)
        die("out of memory");
    memcpy(sorted, plan->tokens, 4 * (size_t)plan->n_tokens);
    qsort(sorted, plan->n_tokens, 4, by_token);
    for (uint32_t i = 1; i < plan->n_tokens; i++)
        if (sorted[i] == sorted[i - 1])
            sorted[n_shared++] = sorted[i];
    for (uint32_t i = 0; i < plan->n_tokens; i++)
        plan->shared[i] = bsearch(&plan->tokens[i], sorted, n_shared, 4, by_token) != NULL;
    free(sorted);
}

static void read_tokens(const char *path, struct plan *plan)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die("cannot open the token file");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *raw = malloc((size_t)size);
    plan->tokens = malloc((size_t)size);
    if (!raw || !plan->tokens || fread(raw, 1, (size_t)size, file) != (size_t)size)
        die("cannot read the token file");
    plan->n_tokens = (uint32_t)(size / 4);
    for (uint32_t i = 0; i < plan->n_tokens; i++)
        plan->tokens[i] = get32(raw + 4 * i);
    free(raw);
    fclose(file);
    mark_shared(plan);
}

static void read_greeting(const char *words, struct plan *plan)
{
    if (plan->n_greetings == MAX_GREETINGS)
        die("too many greetings");
    struct greeting *g = &plan->greetings[plan->n_greetings++];
    unsigned long long metadata;
    char hex[300];
    if (sscanf(words, "%d %d %u %llu %299s", &g->sw, &g->class, &g->port, &metadata, hex) != 5)
        die("bad greeting");
    g->metadata = metadata;
    g->length = strlen(hex) / 2;
    if (g->length > sizeof g->frame)
        die("greeting too long");
    for (size_t i = 0; i < g->length; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        g->frame[i] = (uint8_t)byte;
    }
}

void read_plan(const char *path, struct plan *plan)
{
    FILE *file = fopen(path, "r");
    char line[4096], name[3800];
    if (!file)
        die("cannot open the plan");
    memset(plan, 0, sizeof *plan);
    while (fgets(line, sizeof line, file)) {
        unsigned id, port;
        int sw;
        if (sscanf(line, "switches %d", &plan->switches) == 1 || sscanf(line, "learning %d", &plan->learning) == 1)
            continue;
        if (sscanf(line, "waypoint %u %d %u", &id, &sw, &port) == 3) {
            if (plan->n_waypoints == MAX_WAYPOINTS)
                die("too many waypoints");
            plan->waypoints[plan->n_waypoints++] = (struct waypoint){(uint16_t)id, sw, port};
        } else if (sscanf(line, "tokens %3799s", name) == 1) {
            read_tokens(name, plan);
        } else if (!strncmp(line, "greet ", 6)) {
            read_greeting(line + 6, plan);
        } else {
            die("unknown line in the plan");
        }
    }
    fclose(file);
    if (plan->switches < 1 || plan->switches > MAX_SWITCHES)
        die("the plan's number of switches is out of range");
}

/* ---- buffers and sockets --------------------------------------------------------------------- */

uint8_t *extend(struct buffer *to, size_t more)
{
    if (to->length + more > to->room) {
        to->room = (to->length + more) * 2;
        to->data = realloc(to->data, to->room);
        if (!to->data)
            die("out of memory");
    }
    uint8_t *at = to->data + to->length;
    to->length += more;
    return at;
}

void message(struct buffer *to, int type, uint32_t xid, const void *body, size_t length)
{
    uint8_t *at = extend(to, 8 + length);
    at[0] = 4;
    at[1] = (uint8_t)type;
    put16(at + 2, (unsigned)(8 + length));
    put32(at + 4, xid);
    if (length)
        memcpy(at + 8, body, length);
}

int receive(struct line *line)
{
    size_t before = line->in.length;
    uint8_t *at = extend(&line->in, 262144);
    ssize_t got = recv(line->fd, at, 262144, 0);
    line->in.length = before + (got > 0 ? (size_t)got : 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        return -1;
    return 0;
}

void flush(struct line *line)
{
    size_t sent = 0;
    while (sent < line->out.length) {
        ssize_t n = send(line->fd, line->out.data + sent, line->out.length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;      /* the rest goes out in a later turn; an ended connection is noticed in reading */
        sent += (size_t)n;
    }
    memmove(line->out.data, line->out.data + sent, line->out.length - sent);
    line->out.length -= sent;
}

void set_up_socket(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ---- connections ----------------------------------------------------------------------------- */

struct tuple tuple_of(uint32_t n, int access, int gateway)
{
    return (struct tuple){
        10u << 24 | (uint32_t)access << 16 | n >> 8, 172u << 24 | 16u << 16 | (uint32_t)gateway << 8 | (2 + n % 250),
        (uint16_t)(SPORT_BASE + (n & 0xff)), SERVICE,
    };
}

struct tuple reversed(struct tuple t)
{
    return (struct tuple){t.dst, t.src, t.dport, t.sport};
}

int64_t number_of(struct tuple t, int *back)
{
    *back = t.src >> 24 != 10;
    if (*back)
        t = reversed(t);
    if (t.src >> 24 != 10 || t.sport < SPORT_BASE || t.sport > SPORT_BASE + 255)
        return -1;
    return (int64_t)((t.src & 0xffff) << 8 | (uint32_t)(t.sport - SPORT_BASE));
}

static size_t tcp_frame(uint8_t *f, struct tuple t, int flags, uint32_t seq, const uint8_t *mptcp, size_t size)
{
    /* MSS 1460, SACK permitted, timestamps, NOP, window scale 7, then the MPTCP option */
    static const uint8_t usual[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
    size_t length = 14 + 20 + 20 + sizeof usual + size;
    memset(f, 0, length);
    memcpy(f, t.src >> 24 == 10 ? "\x02\x53\x47\0\0\1\x0a\0\0\0\0\1" : "\x0a\0\0\0\0\1\x02\x53\x47\0\0\1", 12);
    put16(f + 12, 0x0800);
    f[14] = 0x45;
    put16(f + 16, (unsigned)(length - 14));
    put16(f + 20, 0x4000);
    f[22] = 64;
    f[23] = 6;
    put32(f + 26, t.src);
    put32(f + 30, t.dst);
    put16(f + 34, t.sport);
    put16(f + 36, t.dport);
    put32(f + 38, seq);
    f[46] = (uint8_t)((20 + sizeof usual + size) / 4 << 4);
    f[47] = (uint8_t)flags;
    put16(f + 48, 64240);
    memcpy(f + 54, usual, sizeof usual);
    memcpy(f + 54 + sizeof usual, mptcp, size);
    return length;
}

size_t frame_syn(uint8_t *to, struct tuple t, uint32_t seq, const uint32_t *token)
{
    if (!token) {
        static const uint8_t capable[4] = {30, 4, 0x01, 0x01};
        return tcp_frame(to, t, 0x02, seq, capable, 4);
    }
    uint8_t join[12] = {30, 12, 0x10, 2};
    put32(join + 4, *token);
    put32(join + 8, seq ^ 0x5a5a5a5a);
    return tcp_frame(to, t, 0x02, seq, join, 12);
}

size_t frame_syn_ack(uint8_t *to, struct tuple t, uint32_t isn, uint64_t key)
{
    uint8_t capable[12] = {30, 12, 0x01, 0x01};
    put64(capable + 4, key);
    size_t length = tcp_frame(to, t, 0x12, 77, capable, 12);
    put32(to + 42, isn + 1);
    return length;
}

int tuple_of_frame(const uint8_t *f, size_t length, struct tuple *t)
{
    if (length < 54 || get16(f + 12) != 0x0800 || f[14] != 0x45 || f[23] != 6)
        return -1;
    *t = (struct tuple){get32(f + 26), get32(f + 30), get16(f + 34), get16(f + 36)};
    return 0;
}

/* ---- OpenFlow -------------------------------------------------------------------------------- */

void packet_in(struct buffer *to, uint64_t cookie, uint32_t port, uint64_t metadata, const uint8_t *frame,
               size_t length)
{
    size_t match = metadata ? 24 : 12;
    size_t size = 24 + (match + 7) / 8 * 8 + 2 + length;
    uint8_t *at = extend(to, size);
    memset(at, 0, size - length);
    at[0] = 4;
    at[1] = PACKET_IN;
    put16(at + 2, (unsigned)size);
    put32(at + 8, 0xffffffff);
    put16(at + 12, (unsigned)length);
    at[14] = cookie != 0;   /* by a rule's action; without a rule by a table miss */
    at[15] = 2;
    put64(at + 16, cookie);
    put16(at + 24, 1);
    put16(at + 26, (unsigned)match);
    put32(at + 28, 0x80000004);
    put32(at + 32, port);
    if (metadata) {
        put32(at + 36, 0x80000408);
        put64(at + 40, metadata);
    }
    memcpy(at + size - length, frame, length);
}

int tuple_of_match(const uint8_t *match, size_t room, struct tuple *t)
{
    size_t end = get16(match + 2), at = 4;
    int found = 0;
    if (end > room)
        return -1;
    while (at + 4 <= end) {
        uint32_t header = get32(match + at);
        const uint8_t *value = match + at + 4;
        switch (header) {
        case 0x80001604: t->src = get32(value); found |= 1; break;
        case 0x80001804: t->dst = get32(value); found |= 2; break;
        case 0x80001a02: t->sport = get16(value); found |= 4; break;
        case 0x80001c02: t->dport = get16(value); found |= 8; break;
        }
        at += 4 + (header & 0xff);
    }
    return found == 15 ? 0 : -1;
}
