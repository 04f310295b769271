/* Connections as the fake switches see them: what they tell the controller, and what it must answer. */
#include "load.h"

#include <stdio.h>
#include <string.h>

const struct plan *plan;
struct fake fakes[MAX_SWITCHES];
struct connection *connections;
uint32_t *open_numbers, n_open;
uint64_t last_rule;
struct counts counts;
struct job job;

/* ---- what switches say ----------------------------------------------------------------------- */

static void send_packet_in(struct fake *to, int class, uint32_t port, int role, const uint8_t *frame, size_t length)
{
    packet_in(&to->line.out, to->cookies[class], port, (uint64_t)role << 16, frame, length);
}

static uint32_t isn_of(uint32_t number)
{
    return number * 2654435761u;
}

/* A join goes to the server of its session, `target`: the controller takes no token for a proof. */
static void send_syn(struct fake *access, uint32_t number, int gateway, const uint32_t *token, uint32_t target)
{
    uint8_t frame[128];
    struct connection *c = &connections[number];
    uint32_t up = c->up_entry, back = c->back_entry;
    *c = (struct connection){.up_entry = up, .back_entry = back, .began = now_ns(), .access = (uint8_t)access->dpid, .gateway = (uint8_t)gateway,
                             .stage = ASKED, .mode = (uint8_t)job.mode};
    struct tuple tuple = tuple_of(number, access->dpid, gateway);
    if (token) {
        int there = connections[target].gateway;    /* 0: the controller was told of its session otherwise */
        tuple.dst = tuple_of(target, access->dpid, there ? there : gateway).dst;
    }
    size_t length = frame_syn(frame, tuple, isn_of(number), token);
    send_packet_in(access, CLASS_SYN, ACCESS_PORT, ROLE_ACCESS, frame, length);
}

static void send_syn_ack(uint32_t number)
{
    uint8_t frame[128];
    struct connection *c = &connections[number];
    struct tuple back = reversed(tuple_of(number, c->access, c->gateway));
    size_t length = frame_syn_ack(frame, back, isn_of(number), KEY_BASE + number);
    if (plan->learning) {
        send_packet_in(fake_of(c->gateway), CLASS_SYN_ACK, GATEWAY_PORT, ROLE_MCP, frame, length);
        return;
    }
    for (int i = 0; i < plan->n_waypoints; i++) {
        const struct waypoint *w = &plan->waypoints[i];
        if (w->id == c->waypoint) {
            send_packet_in(fake_of(w->sw), CLASS_SYN_ACK, w->port, ROLE_MCP, frame, length);
            return;
        }
    }
    counts.unexpected++;        /* released towards something that is no MCP */
}

void open_next(struct fake *access)
{
    if (!job.issuing || (job.count && job.completed + (uint64_t)job.outstanding >= job.count))
        return;
    if (job.mode == FINISH) {
        if (!n_open)
            return;
        uint32_t number = open_numbers[--n_open];
        connections[number].began = now_ns();
        connections[number].mode = FINISH;
        connections[number].stage = RELEASED;
        job.outstanding++;
        send_syn_ack(number);
        return;
    }
    uint32_t number = job.next++, n = (uint32_t)plan->switches;
    if (number >= MAX_CONNECTIONS || (job.mode != JOIN && number >= plan->n_tokens))
        die("out of connection numbers: make the token table longer");
    uint32_t away = job.mode == SYN || n == 1 ? 0 : 1 + number % (n - 1);
    int gateway = (int)((uint32_t)(access->dpid - 1) + away) % (int)n + 1;
    const uint32_t *token = NULL;
    uint32_t target = 0;
    while (job.mode == JOIN && !token) {
        target = job.join_next++ % job.targets;
        token = plan->shared[target] ? NULL : &plan->tokens[target];
    }
    job.outstanding++;
    send_syn(access, number, gateway, token, target);
}

static void done(uint32_t number)
{
    struct connection *c = &connections[number];
    uint64_t now = now_ns();
    c->stage = IDLE;
    job.outstanding--;
    job.completed++;
    if (now >= job.measured_from && now < job.until) {
        job.in_window++;
        if (job.n_latencies < MAX_LATENCIES)
            job.latencies[job.n_latencies++] = (uint32_t)(now - c->began);
    }
    if (c->mode == SYN)
        open_numbers[n_open++] = number;
    if (!job.paced)
        open_next(fake_of(c->access));
}

/* ---- what the controller says ---------------------------------------------------------------- */

static void take_flow_mod(struct fake *at, const uint8_t *data, size_t length)
{
    struct tuple t;
    int back;
    uint64_t cookie = get64(data + 8);
    if (length < 56)
        return;
    if (cookie >> 52 == 0x5e2 && (uint32_t)cookie < CLASSES)
        at->cookies[(uint32_t)cookie] = cookie;
    if (!data[28] && !data[29])  /* a rule with a hard time-out is renewed all the time */
        last_rule = now_ns();
    if (tuple_of_match(data + 48, length - 48, &t))
        return;
    int64_t number = number_of(t, &back);
    struct connection *c = number < 0 ? NULL : &connections[number];
    if (data[25] != 0) {        /* not OFPFC_ADD */
        if (c && data[25] >= 3)
            let_go(at->dpid, back ? c->back_entry : c->up_entry);
        return;
    }
    if (c && !plan->learning && at->dpid == (back ? gateway_of(reversed(t)) : access_of(t)))
        hold(at->dpid, back ? &c->back_entry : &c->up_entry, data, length);
    if (!c || c->stage == IDLE || at->dpid != (back ? c->gateway : c->access)) {
        counts.unknown++;
        return;
    }
    counts.flow_mods++;
    if (c->stage == ASKED || plan->learning) {
        c->seen |= back ? BACK : UP;
        if (back)
            c->mark = at->barriers;
        return;
    }
    if ((uint32_t)cookie != plan->tokens[number]) {
        counts.token_errors++;
        return;
    }
    c->seen |= back ? BACK_TOKEN : UP_TOKEN;
    if ((c->seen & (UP_TOKEN | BACK_TOKEN)) == (UP_TOKEN | BACK_TOKEN))
        done((uint32_t)number);
}

/* The waypoint of the label that a packet-out's actions set; 0 for none. */
static uint16_t label_in(const uint8_t *actions, size_t length)
{
    for (size_t at = 0; at + 8 <= length && get16(actions + at + 2) >= 8; at += get16(actions + at + 2))
        if (get16(actions + at) == 25 && get32(actions + at + 4) == 0x80000606)
            return get16(actions + at + 11);
    return 0;
}

static void check_release(struct fake *at, struct connection *c)
{
    int wanted = plan->learning || c->mode == JOIN ? UP : UP | BACK;
    int remote = wanted & BACK && c->gateway != c->access;
    if (at->dpid != c->access || (c->seen & wanted) != wanted)
        counts.order_errors++;
    else if (remote && fake_of(c->gateway)->barriers == c->mark)
        counts.order_errors++;      /* released before the gateway's switch had confirmed */
}

/* The controller asks whether an MCP is alive: its neighbours speak up again. */
static void answer_probe(struct fake *at)
{
    for (int i = 0; i < plan->n_greetings; i++) {
        const struct greeting *g = &plan->greetings[i];
        if (g->sw == at->dpid)
            packet_in(&at->line.out, at->cookies[g->class], g->port, g->metadata, g->frame, g->length);
    }
}

static void take_packet_out(struct fake *at, const uint8_t *data, size_t length)
{
    struct tuple t;
    int back;
    if (length < 24)
        return;
    size_t actions = get16(data + 16);
    if (24 + actions + 14 <= length && get16(data + 24 + actions + 12) == 0x0806) {
        answer_probe(at);
        return;
    }
    if (24 + actions > length || tuple_of_frame(data + 24 + actions, length - 24 - actions, &t))
        return;         /* the controller's own: it asks for a neighbour by ND */
    int64_t number = number_of(t, &back);
    struct connection *c = number < 0 ? NULL : &connections[number];
    if (!c || c->stage == IDLE) {
        counts.unknown++;
        return;
    }
    counts.packet_outs++;
    if (back) {
        if (!(c->seen & BACK) || c->stage != RELEASED)
            counts.order_errors++;
        done((uint32_t)number);
        return;
    }
    check_release(at, c);
    c->waypoint = label_in(data + 24, actions);
    if (c->mode != SETUP && c->mode != PAIR) {
        done((uint32_t)number);
        return;
    }
    c->stage = RELEASED;
    send_syn_ack((uint32_t)number);
}

/* ofp_port */
static void describe(uint8_t *body, int dpid, uint32_t port)
{
    put32(body, port);
    memcpy(body + 8, "\x0a\0\0\0", 4);
    put16(body + 12, (unsigned)dpid << 4 | port);
    body[16] = 'p', body[17] = (uint8_t)('a' + port);
}

void tell_port(struct fake *at, uint32_t port, int down)
{
    uint8_t body[72] = {[0] = 2};                               /* OFPPR_MODIFY */
    describe(body + 8, at->dpid, port);
    body[8 + 39] = (uint8_t)(down ? 1 : 0);                     /* OFPPS_LINK_DOWN */
    message(&at->line.out, PORT_STATUS, 0, body, sizeof body);
}

static void answer_multipart(struct fake *at, uint32_t xid, const uint8_t *data)
{
    if (get16(data + 8) == 1) {
        answer_flows(at, xid, data);
        return;
    }
    static const size_t sizes[] = {[0] = 1056, [11] = 16};      /* description, meter features */
    uint8_t body[1100] = {0};
    int kind = get16(data + 8);
    size_t length = 8 + (kind == 0 || kind == 11 ? sizes[kind] : 0);
    put16(body, (unsigned)kind);
    if (kind == 2) {                                            /* one entry: a third ACK */
        body[15] = 1, body[23] = 86, body[27] = 1;
        length += 24;
    }
    if (kind == 13) {
        for (uint32_t port = 1; port <= 12; port++, length += 64) /* network.links: up to 12 */
            describe(body + length, at->dpid, port);
    }
    message(&at->line.out, MULTIPART_REPLY, xid, body, length);
}

void take(struct fake *at, const uint8_t *data, size_t length)
{
    uint32_t xid = get32(data + 4);
    uint8_t body[24] = {0};
    switch (data[1]) {
    case FLOW_MOD: take_flow_mod(at, data, length); break;
    case PACKET_OUT: take_packet_out(at, data, length); break;
    case BARRIER_REQUEST:
        counts.barriers++;
        at->barriers++;
        last_rule = now_ns();
        message(&at->line.out, BARRIER_REPLY, xid, NULL, 0);
        break;
    case ECHO_REQUEST: message(&at->line.out, ECHO_REPLY, xid, data + 8, length - 8); break;
    case FEATURES_REQUEST:
        put64(body, (uint64_t)at->dpid);
        body[12] = 254;
        body[19] = 0x4f;
        message(&at->line.out, FEATURES_REPLY, xid, body, 24);
        at->known = 1;
        last_rule = now_ns();
        break;
    case GET_CONFIG_REQUEST: message(&at->line.out, GET_CONFIG_REPLY, xid, "\0\0\xff\xff", 4); break;
    case MULTIPART_REQUEST: answer_multipart(at, xid, data); break;
    case ROLE_REQUEST: message(&at->line.out, ROLE_REPLY, xid, data + 8, length - 8); break;
    case ERROR:
        if (!counts.errors++)
            fprintf(stderr, "generator: the controller sent an error, type %u\n", get16(data + 8));
        break;
    }
}
