/* The least a controller could do: it answers every SYN from the number in its addresses, without a table,
 * a decision or a parser. What the generator reaches against it is the generator's own ceiling. */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEPT = 65536, FRAME_ROOM = 96 };

static struct line lines[MAX_SWITCHES];
static int n_lines;
static int line_of[MAX_SWITCHES + 1];        /* datapath id -> line */
static uint8_t kept[KEPT][FRAME_ROOM];       /* SYNs that wait for a barrier, by number */
static uint16_t kept_length[KEPT];
static const struct plan *plan;

static void flow_mod(struct buffer *to, struct tuple t, uint32_t token)
{
    uint8_t body[136] = {0};
    uint8_t *m = body + 40;
    put32(body + 4, token);
    body[16] = 1;
    put16(body + 22, 40000);
    put32(body + 24, 0xffffffff);
    put16(m, 1);
    put16(m + 2, 43);
    put32(m + 4, 0x80000a02), put16(m + 8, 0x0800);
    put32(m + 10, 0x80001401), m[14] = 6;
    put32(m + 15, 0x80001604), put32(m + 19, t.src);
    put32(m + 23, 0x80001804), put32(m + 27, t.dst);
    put32(m + 31, 0x80001a02), put16(m + 35, t.sport);
    put32(m + 37, 0x80001c02), put16(m + 41, t.dport);
    message(to, FLOW_MOD, 0, body, sizeof body);
}

static void packet_out(struct buffer *to, const uint8_t *frame, size_t length)
{
    uint8_t head[32] = {0};
    put32(head, 0xffffffff);
    put32(head + 4, ACCESS_PORT);
    put16(head + 8, 16);
    put16(head + 16, 25), put16(head + 18, 16);
    put32(head + 20, 0x80000606);
    memcpy(head + 24, "\x02\x53\x54", 3);
    put16(head + 27, plan->waypoints[0].id);
    uint8_t *at = extend(to, 8 + sizeof head + length);
    at[0] = 4, at[1] = PACKET_OUT;
    put16(at + 2, (unsigned)(8 + sizeof head + length));
    put32(at + 4, 0);
    memcpy(at + 8, head, sizeof head);
    memcpy(at + 8 + sizeof head, frame, length);
}

static struct buffer *out_of(int sw) { return &lines[line_of[sw]].out; }

static void take_packet_in(int sw, const uint8_t *data, size_t length)
{
    size_t at = 24 + (get16(data + 26) + 7u) / 8 * 8 + 2;
    const uint8_t *frame = data + at;
    struct tuple t;
    int back;
    if (at > length || tuple_of_frame(frame, length - at, &t))
        return;
    int64_t n = number_of(t, &back);
    if (n < 0)
        return;
    if (frame[47] == 0x12) {
        struct tuple up = reversed(t);
        flow_mod(out_of(gateway_of(up)), t, plan->tokens[n]);
        flow_mod(out_of(access_of(up)), up, plan->tokens[n]);
        return;
    }
    int gateway = gateway_of(t), join = frame[76] == 0x10;
    if (!join)
        flow_mod(out_of(gateway), reversed(t), 0);
    if (join || gateway == sw) {
        flow_mod(out_of(sw), t, 0);
        packet_out(out_of(sw), frame, length - at);
        return;
    }
    message(out_of(gateway), BARRIER_REQUEST, (uint32_t)n, NULL, 0);
    kept_length[n % KEPT] = (uint16_t)(length - at);
    memcpy(kept[n % KEPT], frame, length - at);
}

static void take_barrier(uint32_t n)
{
    const uint8_t *frame = kept[n % KEPT];
    struct tuple t;
    if (tuple_of_frame(frame, kept_length[n % KEPT], &t))
        return;
    flow_mod(out_of(access_of(t)), t, 0);
    packet_out(out_of(access_of(t)), frame, kept_length[n % KEPT]);
}

static void take(struct line *line, const uint8_t *data, size_t length, int *sw)
{
    switch (data[1]) {
    case HELLO: message(&line->out, FEATURES_REQUEST, 1, NULL, 0); break;
    case ECHO_REQUEST: message(&line->out, ECHO_REPLY, get32(data + 4), NULL, 0); break;
    case FEATURES_REPLY:
        *sw = (int)get64(data + 8);
        line_of[*sw] = (int)(line - lines);
        break;
    case PACKET_IN: take_packet_in(*sw, data, length); break;
    case BARRIER_REPLY: take_barrier(get32(data + 4)); break;
    }
}

int respond(const struct plan *given, int port)
{
    plan = given;
    static int switch_of[MAX_SWITCHES];
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0), one = 1, live = 0;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 64))
        die("the responder cannot listen");
    while (n_lines < plan->switches) {
        struct line *line = &lines[n_lines];
        line->fd = accept(listener, NULL, NULL);
        set_up_socket(line->fd);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)n_lines++};
        epoll_ctl(poll, EPOLL_CTL_ADD, line->fd, &event);
        message(&line->out, HELLO, 0, NULL, 0);
        flush(line);
        live++;
    }
    while (live) {
        struct epoll_event events[MAX_SWITCHES];
        int n = epoll_wait(poll, events, MAX_SWITCHES, 100);
        for (int i = 0; i < n; i++) {
            struct line *line = &lines[events[i].data.u32];
            if (receive(line)) {
                close(line->fd);
                live--;
                continue;
            }
            size_t at = 0;
            while (line->in.length - at >= 8 && line->in.length - at >= get16(line->in.data + at + 2)) {
                size_t length = get16(line->in.data + at + 2);
                take(line, line->in.data + at, length, &switch_of[line - lines]);
                at += length;
            }
            memmove(line->in.data, line->in.data + at, line->in.length - at);
            line->in.length -= at;
        }
        for (int i = 0; i < n_lines; i++)
            if (lines[i].out.length)
                flush(&lines[i]);
    }
    return 0;
}
