/* The core with risk, fees and balances, called from C; the results as one line of JSON.
 *
 *     core_bench flow SCENARIO SEED MESSAGES RUNS          how fast
 *     core_bench file SCENARIO SEED MESSAGES FILE          keep the records, for whoever calls the core from elsewhere
 *     core_bench count SCENARIO SEED MESSAGES all|write    one pass, or only its records, to count instructions under
 *     core_bench sweep ORDERS RUNS                         one order takes so many, each at its own price
 *     core_bench level ORDERS RUNS                         one order takes so many, all at one price
 *     core_bench cancel-all ORDERS RUNS                    one account cancels so many
 *     core_bench memory INSTRUMENTS ORDERS                 what it takes to have so many, spread evenly
 *
 * Built twice: with the wire format, and with structs in its place (record.h). Records of 1,024 commands are written just
 * before they are applied, and only core_apply is timed. There are 10,000 accounts. Every run does the same; undisturbed is what a
 * message takes if each record takes as long as in its best run, which is what can be compared on a busy machine. */

#define _POSIX_C_SOURCE 200112L

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "market.h"
#include "timing.h"

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

static double ms(uint64_t ns) { return (double)ns / 1e6; }

/* ---- A flow --------------------------------------------------------------------------------------------------- */

/* Of the timed part of one pass. */
struct sums {
    uint64_t ns;
    uint64_t longest_part_ns;
    uint64_t event_bytes;
    uint64_t answer_bytes;
    uint64_t records;
    uint64_t *least_ns; /* of each record, over all passes so far; NULL: nobody asks */
};

static struct flow flow_of(char *const *arguments) {
    const struct scenario *scenario = scenario_named(arguments[0]);
    struct flow flow;
    if (!scenario || !scenario_make(scenario, number(arguments[1]), number(arguments[2]), &flow)) exit(2);
    return flow;
}

static void apply_messages(struct market *market, const struct message *from, const struct message *to, struct sums *sums) {
    for (const struct message *at = from; at < to; at++) {
        market_message(market, at);
        if (market->count < MARKET_BATCH && at + 1 < to) continue;
        market_flush(market);
        sums->ns += market->ns;
        sums->event_bytes += market->event_bytes;
        sums->answer_bytes += market->answer_bytes;
        uint64_t *least_ns = sums->least_ns ? &sums->least_ns[sums->records] : NULL;
        if (least_ns && market->ns < *least_ns) *least_ns = market->ns;
        sums->records++;
        if (market->longest_part_ns > sums->longest_part_ns) sums->longest_part_ns = market->longest_part_ns;
    }
}

/* One pass over a new core. */
static struct sums pass(const struct flow *flow, struct market *market, uint64_t *least_ns) {
    struct sums before = {0}, timed = {.least_ns = least_ns};
    apply_messages(market, flow->messages, flow->messages + flow->begin, &before);
    apply_messages(market, flow->messages + flow->begin, flow->messages + flow->count, &timed);
    return timed;
}

static size_t placed_in(const struct flow *flow) {
    size_t placed = 0;
    for (size_t i = flow->begin; i < flow->count; i++) placed += flow->messages[i].kind == MESSAGE_PLACE;
    return placed;
}

static void print_times(const struct sums *sums, size_t runs, double count) {
    printf("\"ns\": [");
    for (size_t run = 0; run < runs; run++) printf("%s%.1f", run ? ", " : "", (double)sums[run].ns / count);
    printf("], \"longest_part_ms\": [");
    for (size_t run = 0; run < runs; run++) printf("%s%.3f", run ? ", " : "", ms(sums[run].longest_part_ns));
    printf("]}\n");
}

static int time_flow(char *const *arguments) {
    struct flow flow = flow_of(arguments);
    size_t runs = number(arguments[3]), count = flow.count - flow.begin;
    struct core_facts facts;
    struct sums sums[runs];
    uint64_t *least_ns = malloc((count / MARKET_BATCH + 1) * sizeof *least_ns), undisturbed_ns = 0;
    if (!least_ns) exit(1);
    memset(least_ns, 0xff, (count / MARKET_BATCH + 1) * sizeof *least_ns);
    for (size_t run = 0; run < runs; run++) {
        struct market *market = market_open(1, SCENARIO_ACCOUNTS, NULL);
        sums[run] = pass(&flow, market, least_ns);
        core_facts(market->core, &facts);
        market_close(market);
    }
    printf("{\"scenario\": \"%s\", \"form\": \"%s\", \"messages\": %zu, \"placed\": %zu, ", arguments[0], record_form, count, placed_in(&flow));
    printf("\"event_bytes\": %.1f, \"answer_bytes\": %.1f, \"open_orders\": %" PRIu64 ", \"state_hash\": \"%016" PRIx64 "\", ",
           (double)sums[0].event_bytes / (double)count, (double)sums[0].answer_bytes / (double)count, facts.open_orders,
           facts.state_hash);
    for (size_t i = 0; i < sums[0].records; i++) undisturbed_ns += least_ns[i];
    printf("\"undisturbed_ns\": %.1f, ", (double)undisturbed_ns / (double)count);
    print_times(sums, runs, (double)count);
    free(least_ns);
    free(flow.messages);
    return 0;
}

static int keep_records(char *const *arguments) {
    struct flow flow = flow_of(arguments);
    FILE *file = fopen(arguments[3], "wb");
    if (!file) return 1;
    struct market *market = market_open(1, SCENARIO_ACCOUNTS, file);
    uint64_t opening = market->records;
    struct sums before = {0};
    apply_messages(market, flow.messages, flow.messages + flow.begin, &before);
    opening += before.records;
    struct sums timed = {0};
    apply_messages(market, flow.messages + flow.begin, flow.messages + flow.count, &timed);
    printf("{\"opening\": %" PRIu64 ", \"records\": %" PRIu64 ", \"messages\": %zu, \"placed\": %zu}\n", opening, timed.records,
           flow.count - flow.begin, placed_in(&flow));
    market_close(market);
    free(flow.messages);
    return fclose(file) == 0 ? 0 : 1;
}

/* The same records are written either way, so the difference is what core_apply takes. */
static int count_flow(char *const *arguments) {
    struct flow flow = flow_of(arguments);
    struct market *market = market_open(1, SCENARIO_ACCOUNTS, NULL);
    struct sums sums = {0};
    bool is_applied = strcmp(arguments[3], "all") == 0;
    apply_messages(market, flow.messages, flow.messages + flow.begin, &sums);
    for (size_t i = flow.begin; i < flow.count; i++) {
        market_message(market, &flow.messages[i]);
        if (market->count < MARKET_BATCH && i + 1 < flow.count) continue;
        market_write(market);
        if (is_applied) market_apply(market);
    }
    printf("{\"messages\": %zu}\n", flow.count - flow.begin);
    market_close(market);
    free(flow.messages);
    return 0;
}

/* ---- Commands that do much ------------------------------------------------------------------------------------- */

enum { LOTS = 10 };

static void fill_prices(struct market *market, uint32_t orders) {
    for (uint32_t i = 0; i < orders; i++) market_place(market, 0, i % SCENARIO_ACCOUNTS, 1, SCENARIO_MIDDLE + i, LOTS, false);
}

static void fill_level(struct market *market, uint32_t orders) {
    for (uint32_t i = 0; i < orders; i++) market_place(market, 0, i % SCENARIO_ACCOUNTS, 1, SCENARIO_MIDDLE, LOTS, false);
}

/* All of one account, on a thousand levels. */
static void fill_account(struct market *market, uint32_t orders) {
    for (uint32_t i = 0; i < orders; i++) market_place(market, 0, 0, 1, SCENARIO_MIDDLE + i % 1000, LOTS, false);
}

static void take_all(struct market *market, uint32_t orders) {
    market_place(market, 0, SCENARIO_ACCOUNTS, 0, SCENARIO_MIDDLE + orders, (int64_t)LOTS * orders, true);
}

static void cancel_all(struct market *market, uint32_t orders) {
    (void)orders;
    market_next(market, COMMAND_CANCEL_ALL, 0);
}

/* As the core begins, but for the orders of one account. */
static void allow_orders(struct market *market, uint32_t orders) {
    struct codec_command *command = market_next(market, COMMAND_SET_SIZES, 0);
    command->set_sizes = (struct codec_set_sizes){
        .orders = 1048576,
        .orders_per_account = orders,
        .accounts = 65536,
        .balances = 262144,
        .client_order_ids = 2097152,
        .client_order_id_memory_us = 120000000,
        .sessions = 256,
        .instruments = 1024,
    };
    market_flush(market);
}

static int time_long(char *const *arguments, void (*fill)(struct market *, uint32_t), void (*end)(struct market *, uint32_t)) {
    uint32_t orders = (uint32_t)number(arguments[0]);
    size_t runs = number(arguments[1]);
    double whole_ms[runs], part_ms[runs];
    uint32_t parts = 0;
    struct core_facts facts;
    struct market *market = market_open(1, SCENARIO_ACCOUNTS + 1, NULL);
    allow_orders(market, orders + 1);
    for (size_t run = 0; run < runs; run++) {
        fill(market, orders);
        market_flush(market);
        core_facts(market->core, &facts);
        if (facts.open_orders != orders) exit(1);
        end(market, orders);
        market_flush(market);
        core_facts(market->core, &facts);
        if (facts.open_orders != 0) exit(1);
        parts = market->parts;
        whole_ms[run] = ms(market->ns);
        part_ms[run] = ms(market->longest_part_ns);
    }
    printf("{\"orders\": %" PRIu32 ", \"form\": \"%s\", \"parts\": %" PRIu32 ", \"whole_ms\": [", orders, record_form, parts);
    for (size_t run = 0; run < runs; run++) printf("%s%.3f", run ? ", " : "", whole_ms[run]);
    printf("], \"longest_part_ms\": [");
    for (size_t run = 0; run < runs; run++) printf("%s%.3f", run ? ", " : "", part_ms[run]);
    printf("]}\n");
    market_close(market);
    return 0;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* A line of /proc/self/status in KB; 0 where there is none. */
static uint64_t status_kb(const char *name) {
    char line[256];
    uint64_t kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) == 0) kb = number(line + strlen(name));
    }
    fclose(file);
    return kb;
}

/* Half of the orders buy, half sell, each at its own price as far as there are two thousand of a side. */
static int measure_memory(char *const *arguments) {
    uint32_t instruments = (uint32_t)number(arguments[0]), orders = (uint32_t)number(arguments[1]);
    uint64_t before_kb = status_kb("VmRSS:");
    struct market *market = market_open(instruments, SCENARIO_ACCOUNTS, NULL);
    uint64_t empty_kb = status_kb("VmRSS:");
    for (uint32_t i = 0; i < orders; i++) {
        uint32_t at = i / instruments;
        int64_t away = 1 + (at / 2 * 37) % 2000;
        market_place(market, i % instruments, i % SCENARIO_ACCOUNTS, at & 1, SCENARIO_MIDDLE + (at & 1 ? away : -away), LOTS, false);
    }
    market_flush(market);
    struct core_facts facts;
    core_facts(market->core, &facts);
    if (facts.open_orders != orders || core_validate(market->core) != 0) exit(1);
    printf("{\"instruments\": %" PRIu32 ", \"orders\": %" PRIu32 ", \"accounts\": %u, ", instruments, orders, SCENARIO_ACCOUNTS);
    printf("\"process_kb\": %" PRIu64 ", \"without_orders_kb\": %" PRIu64 ", \"resident_kb\": %" PRIu64 ", \"most_kb\": %" PRIu64 "}\n",
           before_kb, empty_kb, status_kb("VmRSS:"), status_kb("VmHWM:"));
    market_close(market);
    return 0;
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    char **rest = arguments + 2;
    if (count == 6 && strcmp(what, "flow") == 0) return time_flow(rest);
    if (count == 6 && strcmp(what, "file") == 0) return keep_records(rest);
    if (count == 6 && strcmp(what, "count") == 0) return count_flow(rest);
    if (count == 4 && strcmp(what, "sweep") == 0) return time_long(rest, fill_prices, take_all);
    if (count == 4 && strcmp(what, "level") == 0) return time_long(rest, fill_level, take_all);
    if (count == 4 && strcmp(what, "cancel-all") == 0) return time_long(rest, fill_account, cancel_all);
    if (count == 4 && strcmp(what, "memory") == 0) return measure_memory(rest);
    fprintf(stderr, "What this takes stands at the top of core_bench.c.\n");
    return 2;
}
