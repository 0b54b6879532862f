/* Order flow to measure with: five markets of one instrument, the same messages on every machine.
 *
 * All of it is integer arithmetic from a seed. New orders arrive at random on a simulated clock. Of these 15 % are immediate
 * or cancel; of the others 20 % are modified later (one lot more, and four times in five one tick away from where they are),
 * 95 % are cancelled after a life of 0.43 ms (median, exponential), and the rest stay until somebody trades with them. Of
 * cancels and modifies 2 % are sent twice. How far from the middle an order is placed falls off by a power law with exponent
 * 2.2, and the middle moves as the scenario says: what is left behind by it is swept when it returns.
 *
 * A sender does not know what became of its orders: it cancels and modifies those too that have traded meanwhile. Ids count
 * from 1 in the order in which orders are placed. */

#ifndef BOURSE_BENCH_SCENARIOS_H
#define BOURSE_BENCH_SCENARIOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 33,504 at a tick of 0.005. */
#define SCENARIO_MIDDLE INT64_C(6700800)
#define SCENARIO_ACCOUNTS 10000u

enum message_kind { MESSAGE_PLACE = 0, MESSAGE_AMEND = 1, MESSAGE_CANCEL = 2 };

struct message {
    uint64_t order_id;
    int64_t price_ticks; /* 0 for a cancel */
    uint32_t lots;       /* wanted, or wanted from now on; 0 for a cancel */
    uint32_t owner;      /* 0..SCENARIO_ACCOUNTS - 1 */
    uint8_t kind;        /* enum message_kind */
    uint8_t side;        /* 0 buys, 1 sells */
    uint8_t is_ioc;
    uint8_t unused[5];
};
_Static_assert(sizeof(struct message) == 32, "two messages are a cache line");

struct scenario {
    const char *name;
    uint32_t resting_before; /* orders placed before the clock runs, which are never cancelled */
    uint32_t most_ticks_away;
    uint32_t gap_ns;         /* between new orders, mean */
    int64_t swing_ticks;     /* how far the middle falls, in a straight line, and comes back ... */
    uint32_t swing_orders;   /* ... while so many new orders arrive; 0: it stays */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* The scenario of this name, or NULL. */
const struct scenario *scenario_named(const char *name);

/* The messages of a scenario. `begin` of them come before the clock runs: what rests before, and the first twentieth. */
struct flow {
    struct message *messages;
    size_t count;
    size_t begin;
};

/* Make as many messages as are to be timed, and those before them. False: no memory. Free flow->messages afterwards. */
bool scenario_make(const struct scenario *scenario, uint64_t seed, size_t timed, struct flow *flow);

#endif
