/* See scenarios.h. */

#include "scenarios.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Chosen so that as many orders rest on as many levels as in the markets they are named after: about 21,000 on 60, 2,600 on 290,
 * 1,300 on 800, 1,100 on 750, and 240 on 180. */
const struct scenario scenarios[] = {
    {.name = "static", .most_ticks_away = 30, .gap_ns = 38},
    {.name = "normal", .resting_before = 600, .most_ticks_away = 2000, .gap_ns = 320, .swing_ticks = 190, .swing_orders = 230000},
    {.name = "swing-25", .resting_before = 500, .most_ticks_away = 2000, .gap_ns = 3000, .swing_ticks = 2400, .swing_orders = 190000},
    {.name = "swing-40", .resting_before = 500, .most_ticks_away = 2000, .gap_ns = 3000, .swing_ticks = 3840, .swing_orders = 190000},
    {.name = "flash-crash", .resting_before = 150, .most_ticks_away = 2000, .gap_ns = 30000, .swing_ticks = 10000, .swing_orders = 30000},
};
const size_t scenario_count = sizeof scenarios / sizeof *scenarios;

#define IOC_PPM 150000
#define MODIFIED_PPM 200000
#define MOVED_PPM 800000
#define CANCELLED_PPM 950000
#define TWICE_PPM 20000
#define MEDIAN_LIFE_NS 430000
#define MOST_LOTS 100
/* ln 2, in 2^-32: a mean of an exponential is its median divided by this. */
#define LN_2 UINT64_C(2977044472)

const struct scenario *scenario_named(const char *name) {
    for (size_t i = 0; i < scenario_count; i++) {
        if (strcmp(scenarios[i].name, name) == 0) return &scenarios[i];
    }
    return NULL;
}

/* ---- Chance --------------------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static uint64_t draw_below(uint64_t *state, uint64_t limit) {
    return (uint64_t)((unsigned __int128)draw(state) * limit >> 64);
}

static bool draw_ppm(uint64_t *state, uint32_t ppm) { return draw_below(state, 1000000) < ppm; }

/* -log2 of a number in (0, 1], in 2^-16: the whole part is counted, the fraction found bit by bit by squaring. */
static uint64_t halvings(uint64_t random) {
    random |= 1;
    uint64_t whole = (uint64_t)__builtin_clzll(random);
    uint64_t mantissa = random << whole >> 32; /* 1..2, in 2^-31 */
    uint64_t log = 0;
    for (int bit = 15; bit >= 0; bit--) {
        mantissa = mantissa * mantissa >> 31;
        if (mantissa >> 32 == 0) continue;
        mantissa >>= 1;
        log |= UINT64_C(1) << bit;
    }
    return ((whole + 1) << 16) - log;
}

/* Exponential with this median. */
static uint64_t draw_time(uint64_t *state, uint64_t median_ns) { return halvings(draw(state)) * median_ns >> 16; }

/* ---- How far from the middle ---------------------------------------------------------------------------------- */

/* sums[d]: weights of 1..d ticks. */
struct distances {
    uint32_t most;
    uint64_t *sums;
};

/* The fifth root, rounded down. */
static uint64_t fifth_root(uint64_t of) {
    uint64_t low = 0, high = 7131; /* whose fifth power is just below 2^64 */
    while (low < high) {
        uint64_t middle = (low + high + 1) / 2;
        if (middle * middle * middle * middle * middle <= of) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/* d^-2.2 = 1 / (d^2 * d^(1/5)). */
static bool distances_open(struct distances *distances, uint32_t most) {
    assert(most >= 1 && most <= 8192);
    distances->most = most;
    distances->sums = calloc((size_t)most + 1, sizeof *distances->sums);
    if (!distances->sums) return false;
    for (uint64_t d = 1; d <= most; d++) {
        uint64_t power = d * d * fifth_root(d << 50); /* d^2.2, in 2^-10 */
        distances->sums[d] = distances->sums[d - 1] + (UINT64_C(1) << 56) / power;
    }
    return true;
}

static uint32_t draw_distance(uint64_t *state, const struct distances *distances) {
    uint64_t at = draw_below(state, distances->sums[distances->most]);
    uint32_t low = 1, high = distances->most;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (at < distances->sums[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* ---- What is to be sent later --------------------------------------------------------------------------------- */

struct later {
    uint64_t time_ns;
    uint64_t order_id;
    uint8_t kind;
};

/* A heap; at equal times the lower order, then the modify before the cancel. */
struct agenda {
    struct later *entries;
    size_t count, room;
};

static bool is_before(const struct later *a, const struct later *b) {
    if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns;
    if (a->order_id != b->order_id) return a->order_id < b->order_id;
    return a->kind < b->kind;
}

static bool agenda_add(struct agenda *agenda, struct later entry) {
    if (agenda->count == agenda->room) {
        size_t room = agenda->room ? 2 * agenda->room : 1024;
        struct later *grown = realloc(agenda->entries, room * sizeof *grown);
        if (!grown) return false;
        agenda->entries = grown;
        agenda->room = room;
    }
    size_t at = agenda->count++;
    while (at > 0 && is_before(&entry, &agenda->entries[(at - 1) / 2])) {
        agenda->entries[at] = agenda->entries[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    agenda->entries[at] = entry;
    return true;
}

static struct later agenda_take(struct agenda *agenda) {
    struct later first = agenda->entries[0], last = agenda->entries[--agenda->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= agenda->count) break;
        if (child + 1 < agenda->count && is_before(&agenda->entries[child + 1], &agenda->entries[child])) child++;
        if (is_before(&last, &agenda->entries[child])) break;
        agenda->entries[at] = agenda->entries[child];
        at = child;
    }
    agenda->entries[at] = last;
    return first;
}

/* ---- The flow ------------------------------------------------------------------------------------------------- */

/* An order as its sender knows it. */
struct sent {
    int64_t price_ticks;
    uint32_t lots;
    uint32_t owner;
    uint8_t side;
};

struct maker {
    const struct scenario *scenario;
    struct flow *flow;
    size_t room;
    uint64_t chance;
    uint64_t time_ns;
    uint64_t arrivals;
    uint64_t orders;
    struct sent *sent; /* by id */
    struct distances distances;
    struct agenda agenda;
};

static void emit(struct maker *maker, struct message message) {
    if (maker->flow->count < maker->room) maker->flow->messages[maker->flow->count++] = message;
}

/* Down in half the period and up again in the other. */
static int64_t middle(const struct maker *maker) {
    const struct scenario *scenario = maker->scenario;
    if (scenario->swing_orders == 0) return SCENARIO_MIDDLE;
    int64_t phase = (int64_t)(maker->arrivals % scenario->swing_orders), half = (int64_t)(scenario->swing_orders / 2);
    return SCENARIO_MIDDLE - scenario->swing_ticks * (phase < half ? phase : 2 * half - phase) / half;
}

/* An order `away` ticks from the middle, below it if it buys and away is positive. */
static uint64_t place(struct maker *maker, uint8_t side, int64_t middle_ticks, int64_t away, bool is_ioc) {
    uint64_t id = ++maker->orders;
    struct sent *sent = &maker->sent[id];
    /* One statement each: C leaves open in which order a list is evaluated. */
    uint32_t lots = 1 + (uint32_t)draw_below(&maker->chance, MOST_LOTS);
    uint32_t owner = (uint32_t)draw_below(&maker->chance, SCENARIO_ACCOUNTS);
    *sent = (struct sent){side ? middle_ticks + away : middle_ticks - away, lots, owner, side};
    emit(maker, (struct message){.order_id = id, .price_ticks = sent->price_ticks, .lots = sent->lots, .owner = sent->owner,
                                 .kind = MESSAGE_PLACE, .side = side, .is_ioc = is_ioc});
    return id;
}

/* A cancel or a modify whose time has come, now and then twice. */
static void send_later(struct maker *maker) {
    struct later later = agenda_take(&maker->agenda);
    struct sent *sent = &maker->sent[later.order_id];
    struct message message = {.order_id = later.order_id, .owner = sent->owner, .kind = later.kind, .side = sent->side};
    if (later.kind == MESSAGE_AMEND) {
        if (draw_ppm(&maker->chance, MOVED_PPM)) sent->price_ticks += draw(&maker->chance) >> 63 ? 1 : -1;
        sent->lots++;
        message.price_ticks = sent->price_ticks;
        message.lots = sent->lots;
    }
    emit(maker, message);
    if (draw_ppm(&maker->chance, TWICE_PPM)) emit(maker, message);
}

/* A new order, and what will become of it. */
static bool arrive(struct maker *maker) {
    maker->arrivals++;
    int64_t middle_ticks = middle(maker);
    uint8_t side = (uint8_t)(draw(&maker->chance) >> 63);
    int64_t away = draw_distance(&maker->chance, &maker->distances);
    if (draw_ppm(&maker->chance, IOC_PPM)) {
        /* It crosses the middle, and takes what is no further beyond it. */
        place(maker, side, middle_ticks, -away, true);
        return true;
    }
    uint64_t id = place(maker, side, middle_ticks, away, false);
    uint64_t life_ns = draw_time(&maker->chance, MEDIAN_LIFE_NS);
    bool is_cancelled = draw_ppm(&maker->chance, CANCELLED_PPM);
    if (draw_ppm(&maker->chance, MODIFIED_PPM)) {
        uint64_t after_ns = draw_below(&maker->chance, life_ns + 1);
        if (!agenda_add(&maker->agenda, (struct later){maker->time_ns + after_ns, id, MESSAGE_AMEND})) return false;
    }
    return !is_cancelled || agenda_add(&maker->agenda, (struct later){maker->time_ns + life_ns, id, MESSAGE_CANCEL});
}

static bool make(struct maker *maker) {
    const struct scenario *scenario = maker->scenario;
    uint64_t median_gap_ns = scenario->gap_ns * LN_2 >> 32;
    int64_t begin = middle(maker);
    for (uint32_t i = 0; i < scenario->resting_before; i++) {
        place(maker, i & 1, begin, draw_distance(&maker->chance, &maker->distances), false);
    }
    uint64_t next_ns = 0;
    while (maker->flow->count < maker->room) {
        if (maker->agenda.count && maker->agenda.entries[0].time_ns <= next_ns) {
            send_later(maker);
            continue;
        }
        maker->time_ns = next_ns;
        if (!arrive(maker)) return false;
        next_ns += draw_time(&maker->chance, median_gap_ns);
    }
    return true;
}

bool scenario_make(const struct scenario *scenario, uint64_t seed, size_t timed, struct flow *flow) {
    size_t begin = scenario->resting_before + timed / 20;
    struct maker maker = {.scenario = scenario, .flow = flow, .room = begin + timed, .chance = seed};
    *flow = (struct flow){.messages = calloc(maker.room, sizeof *flow->messages), .begin = begin};
    maker.sent = calloc(maker.room + 1, sizeof *maker.sent);
    bool is_made = flow->messages && maker.sent && distances_open(&maker.distances, scenario->most_ticks_away) && make(&maker);
    free(maker.sent);
    free(maker.distances.sums);
    free(maker.agenda.entries);
    if (!is_made) free(flow->messages);
    return is_made;
}
