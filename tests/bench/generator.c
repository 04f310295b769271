/* Load generator: fake switches over TCP that open connections through a controller and check its answers.
 *
 * Orders come line by line on stdin, each is answered by one line of JSON:
 *   fill QUIET_MS LIMIT_MS         wait until every switch is known and no rule came for QUIET_MS
 *   greet                          send the plan's greetings
 *   first N                        number connections from N on
 *   targets N                      joins go to the sessions 0..N-1
 *   run MODE WINDOW SWITCHES WARM_MS MS COUNT   WINDOW outstanding on each of the first SWITCHES switches, until
 *                                  MS after WARM_MS, or (MS 0) until COUNT are done; then what is open is drained
 *   pace PER_SECOND MS             SYNs at the first switch, begun at their times whatever is answered
 *   meanwhile reconnect N | down N PORT | up N PORT   what happens after a quarter of the next pace: switch N connects
 *                                  anew, or one of its ports goes down or comes back
 * Modes. setup: SYN -> entries, barrier, packet-out -> SYN/ACK -> entries with the token. syn: its first half,
 * with the gateway on the same switch. finish: the second half of what syn left. join: SYN with MP_JOIN -> entry
 * and packet-out. pair: SYN and SYN/ACK, each answered by a rule and a packet-out (learning switches).
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const MODE_NAMES[MODES] = {"setup", "syn", "finish", "join", "pair"};
static int poll_fd;
#define STALL_NS 5000000000ull     /* without a single answer: something is lost */

static void read_from(struct fake *at)
{
    struct line *line = &at->line;
    if (receive(line))
        die("the controller closed a switch's connection");
    size_t done_to = 0;
    while (line->in.length - done_to >= 8) {
        size_t length = get16(line->in.data + done_to + 2);
        if (length < 8)
            die("the controller sent a message of impossible length");
        if (line->in.length - done_to < length)
            break;
        take(at, line->in.data + done_to, length);
        done_to += length;
    }
    memmove(line->in.data, line->in.data + done_to, line->in.length - done_to);
    line->in.length -= done_to;
}

static void flush_all(void)
{
    for (int i = 0; i < plan->switches; i++)
        if (fakes[i].line.out.length)
            flush(&fakes[i].line);
}

/* One turn; 1 when an order waits on stdin. */
static int turn(int milliseconds)
{
    struct epoll_event events[MAX_SWITCHES + 1];
    int ordered = 0, n = epoll_wait(poll_fd, events, MAX_SWITCHES + 1, milliseconds);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 == MAX_SWITCHES)
            ordered = 1;
        else
            read_from(&fakes[events[i].data.u32]);
    }
    flush_all();
    return ordered;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile(double share)
{
    if (!job.n_latencies)
        return 0;
    return job.latencies[(uint32_t)(share * (job.n_latencies - 1))] / 1000.0;
}

static void report(double seconds)
{
    qsort(job.latencies, job.n_latencies, sizeof *job.latencies, by_value);
    printf("{\"mode\": \"%s\", \"done\": %lu, \"seconds\": %.4f, \"rate\": %.1f, \"p50_us\": %.1f, \"p95_us\": %.1f, "
           "\"p99_us\": %.1f, \"worst_us\": %.1f, \"completed\": %lu, \"lost\": %d, \"flow_mods\": %lu, \"packet_outs\": %lu, \"barriers\": %lu, "
           "\"order_errors\": %lu, \"token_errors\": %lu, \"errors\": %lu, \"unknown\": %lu, \"unexpected\": %lu}\n",
           MODE_NAMES[job.mode], job.in_window, seconds, (double)job.in_window / seconds, percentile(0.5),
           percentile(0.95), percentile(0.99), percentile(1.0), job.completed, job.outstanding, counts.flow_mods, counts.packet_outs, counts.barriers,
           counts.order_errors, counts.token_errors, counts.errors, counts.unknown, counts.unexpected);
}

static void run(const char *words)
{
    char name[16];
    int window, switches, warm, ms, mode = 0;
    unsigned long count;
    if (sscanf(words, "%15s %d %d %d %d %lu", name, &window, &switches, &warm, &ms, &count) != 6)
        die("bad order");
    while (mode < MODES && strcmp(name, MODE_NAMES[mode]))
        mode++;
    if (mode == MODES || switches > plan->switches)
        die("bad order");
    memset(&counts, 0, sizeof counts);
    uint64_t began = now_ns();
    job.mode = (enum mode)mode;
    job.issuing = 1;
    job.outstanding = 0;
    job.completed = job.in_window = job.n_latencies = 0;
    job.count = job.mode == FINISH ? n_open : ms ? 0 : count;
    job.measured_from = began + (uint64_t)warm * 1000000ull;
    job.until = ms ? job.measured_from + (uint64_t)ms * 1000000ull : UINT64_MAX;
    for (int i = 0; i < window; i++)
        for (int s = 0; s < switches; s++)
            open_next(&fakes[s]);
    flush_all();
    uint64_t now, seen = 0, stalled = began + STALL_NS;
    while ((now = now_ns()) < job.until && now < stalled && job.outstanding) {
        turn(5);
        if (job.completed != seen) {
            seen = job.completed;
            stalled = now + STALL_NS;
        }
    }
    uint64_t ended = now < job.until ? now : job.until;
    job.issuing = 0;
    for (uint64_t patience = now_ns() + 3000000000ull; job.outstanding && now_ns() < patience;)
        turn(5);
    report((double)(ended - job.measured_from) / 1e9);
}

static struct sockaddr_in there;         /* the controller */

static void connect_one(struct fake *f)
{
    f->line.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(f->line.fd, (struct sockaddr *)&there, sizeof there))
        die("cannot connect to the controller");
    set_up_socket(f->line.fd);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(f - fakes)};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, f->line.fd, &event);
    message(&f->line.out, HELLO, 0, NULL, 0);
    flush(&f->line);
}

static void reconnect(struct fake *f)
{
    close(f->line.fd);
    f->line.in.length = f->line.out.length = 0;
    f->known = 0;
    connect_one(f);
}

static char meanwhile[64];      /* what happens in the next pace */

static void happen(void)
{
    int number;
    unsigned port;
    if (sscanf(meanwhile, "reconnect %d", &number) == 1)
        reconnect(&fakes[number - 1]);
    else if (sscanf(meanwhile, "down %d %u", &number, &port) == 2)
        tell_port(&fakes[number - 1], port, 1);
    else if (sscanf(meanwhile, "up %d %u", &number, &port) == 2)
        tell_port(&fakes[number - 1], port, 0);
    meanwhile[0] = 0;
}

static void pace(int per_second, int ms)
{
    memset(&counts, 0, sizeof counts);
    uint64_t began = now_ns(), until = began + (uint64_t)ms * 1000000ull, now, opened = 0;
    job.mode = SYN;
    job.issuing = job.paced = 1;
    job.outstanding = 0;
    job.completed = job.in_window = job.n_latencies = job.count = 0;
    job.measured_from = began;
    job.until = UINT64_MAX;
    while ((now = now_ns()) < until) {
        if (meanwhile[0] && now > began + (until - began) / 4)
            happen();
        for (; opened < (now - began) * (uint64_t)per_second / 1000000000ull; opened++)
            open_next(&fakes[0]);
        turn(1);
    }
    job.issuing = 0;
    for (uint64_t patience = now_ns() + 10000000000ull; job.outstanding && now_ns() < patience;)
        turn(5);
    job.paced = 0;
    report((double)ms / 1e3);
}

static void fill(int quiet_ms, int limit_ms)
{
    uint64_t limit = now_ns() + (uint64_t)limit_ms * 1000000ull;
    for (;;) {
        turn(5);
        int known = 0;
        for (int i = 0; i < plan->switches; i++)
            known += fakes[i].known;
        uint64_t now = now_ns();
        if (known == plan->switches && now - last_rule > (uint64_t)quiet_ms * 1000000ull) {
            printf("{\"filled\": true}\n");
            return;
        }
        if (now > limit) {
            printf("{\"filled\": false, \"known\": %d}\n", known);
            return;
        }
    }
}

static void greet(void)
{
    for (int i = 0; i < plan->n_greetings; i++) {
        const struct greeting *g = &plan->greetings[i];
        struct fake *to = fake_of(g->sw);
        packet_in(&to->line.out, to->cookies[g->class], g->port, g->metadata, g->frame, g->length);
    }
    last_rule = now_ns();
    flush_all();
    printf("{\"greeted\": %d}\n", plan->n_greetings);
}

static void obey(const char *line)
{
    int quiet, limit, rate;
    if (sscanf(line, "fill %d %d", &quiet, &limit) == 2)
        fill(quiet, limit);
    else if (!strncmp(line, "greet", 5))
        greet();
    else if (sscanf(line, "first %u", &job.next) == 1 || sscanf(line, "targets %u", &job.targets) == 1)
        printf("{\"set\": true}\n");
    else if (sscanf(line, "pace %d %d", &rate, &limit) == 2)
        pace(rate, limit);
    else if (!strncmp(line, "meanwhile ", 10) && strlen(line) < sizeof meanwhile) {
        strcpy(meanwhile, line + 10);
        printf("{\"set\": true}\n");
    } else if (!strncmp(line, "run ", 4))
        run(line + 4);
    else
        die("unknown order");
    fflush(stdout);
}

static void connect_all(const char *host, int port)
{
    there = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &there.sin_addr) != 1)
        die("not an IPv4 address");
    for (int i = 0; i < plan->switches; i++) {
        fakes[i].dpid = i + 1;
        connect_one(&fakes[i]);
    }
}

int generate(const struct plan *given, const char *host, int port)
{
    char line[256];
    plan = given;
    connections = calloc(MAX_CONNECTIONS, sizeof *connections);
    open_numbers = malloc(sizeof *open_numbers * ((size_t)plan->n_tokens + 1));
    job.latencies = malloc(sizeof *job.latencies * MAX_LATENCIES);
    poll_fd = epoll_create1(0);
    if (!connections || !open_numbers || !job.latencies)
        die("out of memory");
    connect_all(host, port);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = MAX_SWITCHES};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &event);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        if (!turn(1000))
            continue;
        if (!fgets(line, sizeof line, stdin))
            return 0;
        obey(line);
    }
}

int main(int argc, char **argv)
{
    static struct plan given;
    if (argc == 4 && !strcmp(argv[1], "respond")) {
        read_plan(argv[2], &given);
        return respond(&given, atoi(argv[3]));
    }
    if (argc != 5 || strcmp(argv[1], "generate"))
        die("usage: generator generate PLAN HOST PORT | generator respond PLAN PORT");
    read_plan(argv[2], &given);
    return generate(&given, argv[3], atoi(argv[4]));
}
