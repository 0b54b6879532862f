/* The book by itself over a scenario; the results as one line of JSON.
 *
 *     book_bench time SCENARIO SEED MESSAGES RUNS POOL    how fast, message by message too, and what the market is
 *     book_bench make SCENARIO SEED MESSAGES FILE         keep the messages, for
 *     book_bench count FILE book|nothing|neither POOL     one pass without clocks, to count instructions under
 *
 * POOL is how many orders there is room for. Every report is written to a buffer of 4,096 reports, which is used from its
 * beginning again when it is full. Messages are made before; pool and book are new for each run, and what comes before the
 * clock runs is not timed. */

#define _POSIX_C_SOURCE 200112L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "scenarios.h"
#include "timing.h"

#define REPORTS 4096
#define SAMPLE_EVERY 1000

static struct book_report reports[REPORTS];
static size_t used;
static uint32_t pool_orders;

/* ---- Engines -------------------------------------------------------------------------------------------------- */

/* What a message came to, so that nothing is computed in vain. */
typedef enum book_result engine(struct book *book, const struct message *message);

static inline struct book_taker taker_of(const struct message *message) {
    return (struct book_taker){
        .entry = {.order_id = message->order_id, .owner = message->owner, .side = message->side},
        .price_ticks = message->price_ticks,
        .lots = message->lots,
        .time_in_force = message->is_ioc ? BOOK_IOC : BOOK_GTC,
    };
}

static inline enum book_result by_book(struct book *book, const struct message *message) {
    if (used > REPORTS - BOOK_MIN_REPORTS) used = 0;
    if (message->kind == MESSAGE_CANCEL) return book_cancel(book, message->order_id, reports, REPORTS, &used);
    struct book_taker taker = taker_of(message);
    enum book_result result = message->kind == MESSAGE_PLACE ? book_place(book, &taker, reports, REPORTS, &used)
                                                             : book_amend(book, &taker, reports, REPORTS, &used);
    while (result == BOOK_MORE) {
        used = 0;
        result = book_continue(book, &taker, reports, REPORTS, &used);
    }
    return result;
}

/* An engine that does nothing but acknowledge: what calling one and writing a report take. */
__attribute__((noinline)) static enum book_result acknowledge(const struct book_taker *taker, struct book_report *report) {
    *report = (struct book_report){
        .order_id = taker->entry.order_id,
        .price_ticks = taker->price_ticks,
        .lots = taker->lots,
        .left_lots = taker->lots,
        .owner = taker->entry.owner,
        .kind = BOOK_ACCEPTED,
        .side = taker->entry.side,
    };
    return BOOK_DONE;
}

static inline enum book_result by_nothing(struct book *book, const struct message *message) {
    (void)book;
    if (used > REPORTS - BOOK_MIN_REPORTS) used = 0;
    struct book_taker taker = taker_of(message);
    return acknowledge(&taker, &reports[used++]);
}

/* ---- Passes --------------------------------------------------------------------------------------------------- */

static struct book *open_book(void) {
    struct book_pool *pool = book_pool_open(pool_orders, 0);
    struct book *book = pool ? book_open(pool, 0) : NULL;
    if (!book) exit(1);
    return book;
}

static void close_book(struct book *book) {
    struct book_pool *pool = book->pool;
    book_close(book);
    book_pool_close(pool);
}

/* All messages of a range in a row. A macro would say the same: `by` is a constant wherever this is called. */
static inline uint64_t pass(struct book *book, const struct message *from, const struct message *to, engine *by) {
    uint64_t sum = 0;
    for (const struct message *at = from; at < to; at++) sum += by(book, at);
    return sum;
}

/* ns a message. */
static double time_all(const struct flow *flow, engine *by) {
    struct book *book = open_book();
    const struct message *begin = flow->messages + flow->begin, *end = flow->messages + flow->count;
    uint64_t results = pass(book, flow->messages, begin, by);
    uint64_t start_ns = timing_ns();
    results += pass(book, begin, end, by);
    uint64_t end_ns = timing_ns();
    close_book(book);
    if (results == UINT64_MAX) exit(1);
    return (double)(end_ns - start_ns) / (double)(end - begin);
}

/* Ticks of each message, the clock's own taken off. */
static void time_each(const struct flow *flow, uint32_t overhead, uint32_t *ticks) {
    struct book *book = open_book();
    pass(book, flow->messages, flow->messages + flow->begin, by_book);
    for (size_t i = flow->begin; i < flow->count; i++) {
        uint64_t begin = timing_begin();
        by_book(book, &flow->messages[i]);
        uint64_t took = timing_end() - begin;
        took = took > overhead ? took - overhead : 0;
        ticks[i - flow->begin] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    }
    close_book(book);
}

/* ---- What the market looks like ------------------------------------------------------------------------------- */

/* What came of a message. */
enum fate { NO_TRADE, ONE_TRADE, FEW_TRADES, MANY_TRADES, AMENDED, CANCELLED, REFUSED, FATES };
static const char *const fate_names[FATES] = {"placed, no trade", "1 trade", "2-3 trades", "4 and more", "amended", "cancelled", "refused"};

static enum fate fate_of(const struct message *message, enum book_result result, uint64_t trades) {
    if (result != BOOK_DONE) return REFUSED;
    if (trades != 0) return trades == 1 ? ONE_TRADE : trades <= 3 ? FEW_TRADES : MANY_TRADES;
    return message->kind == MESSAGE_PLACE ? NO_TRADE : message->kind == MESSAGE_AMEND ? AMENDED : CANCELLED;
}

struct look {
    uint8_t *fates; /* of each timed message, enum fate */
    uint64_t placed, amended, cancelled, trades, reports, refused;
    uint64_t digest; /* FNV-1a over all reports: the same on every machine, or this is not the same market */
    uint32_t *resting, *levels;
    size_t samples;
    int64_t lowest_ticks, highest_ticks; /* best buy, as far as sampled */
};

static void digest_reports(struct look *look) {
    for (size_t i = 0; i < used; i++) {
        const struct book_report *report = &reports[i];
        uint64_t words[] = {report->order_id, report->other_id, (uint64_t)report->price_ticks, (uint64_t)report->lots,
                            (uint64_t)report->left_lots, (uint64_t)report->kind << 8 | report->reason};
        for (size_t word = 0; word < sizeof words / sizeof *words; word++) {
            look->digest = (look->digest ^ words[word]) * UINT64_C(1099511628211);
        }
        look->trades += report->kind == BOOK_TRADE;
    }
    look->reports += used;
    used = 0;
}

static void sample(struct look *look, const struct book *book) {
    int64_t best_ticks = book_best_price(book, BOOK_BUY);
    look->resting[look->samples] = book->half[0].order_count + book->half[1].order_count;
    look->levels[look->samples++] = book->half[0].level_count + book->half[1].level_count;
    if (best_ticks == 0) return;
    if (look->lowest_ticks == 0 || best_ticks < look->lowest_ticks) look->lowest_ticks = best_ticks;
    if (best_ticks > look->highest_ticks) look->highest_ticks = best_ticks;
}

static struct look look_at(const struct flow *flow) {
    size_t samples = (flow->count - flow->begin) / SAMPLE_EVERY + 1;
    struct look look = {.digest = UINT64_C(14695981039346656037)};
    look.fates = calloc(flow->count - flow->begin, sizeof *look.fates);
    look.resting = calloc(samples, sizeof *look.resting);
    look.levels = calloc(samples, sizeof *look.levels);
    struct book *book = open_book();
    if (!look.fates || !look.resting || !look.levels) exit(1);
    used = 0;
    for (size_t i = 0; i < flow->count; i++) {
        enum book_result result = by_book(book, &flow->messages[i]);
        if (i < flow->begin) {
            used = 0;
            continue;
        }
        uint8_t kind = flow->messages[i].kind;
        *(kind == MESSAGE_PLACE ? &look.placed : kind == MESSAGE_AMEND ? &look.amended : &look.cancelled) += 1;
        look.refused += result != BOOK_DONE;
        uint64_t trades = look.trades;
        digest_reports(&look);
        look.fates[i - flow->begin] = (uint8_t)fate_of(&flow->messages[i], result, look.trades - trades);
        if ((i - flow->begin) % SAMPLE_EVERY == 0) sample(&look, book);
    }
    if (book_validate(book) != 0) exit(1);
    close_book(book);
    timing_sort(look.resting, look.samples);
    timing_sort(look.levels, look.samples);
    return look;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static void print_look(const struct look *look) {
    printf("\"placed\": %" PRIu64 ", \"amended\": %" PRIu64 ", \"cancelled\": %" PRIu64 ", ", look->placed, look->amended,
           look->cancelled);
    printf("\"trades\": %" PRIu64 ", \"reports\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"digest\": \"%016" PRIx64 "\", ",
           look->trades, look->reports, look->refused, look->digest);
    printf("\"resting\": %" PRIu32 ", \"resting_least\": %" PRIu32 ", \"resting_most\": %" PRIu32 ", ",
           look->resting[look->samples / 2], look->resting[0], look->resting[look->samples - 1]);
    printf("\"levels\": %" PRIu32 ", \"levels_least\": %" PRIu32 ", \"levels_most\": %" PRIu32 ", ",
           look->levels[look->samples / 2], look->levels[0], look->levels[look->samples - 1]);
    printf("\"lowest_ticks\": %" PRId64 ", \"highest_ticks\": %" PRId64 ", ", look->lowest_ticks, look->highest_ticks);
}

static void print_runs(const char *name, const double *values, size_t runs) {
    printf("\"%s\": [", name);
    for (size_t i = 0; i < runs; i++) printf("%s%.2f", i ? ", " : "", values[i]);
    printf("], ");
}

/* The share of each fate, and quantiles of what its messages took. */
static void print_fates(const uint8_t *fates, const uint32_t *own, size_t count, double ns) {
    uint32_t *some = calloc(count, sizeof *some);
    if (!some) exit(1);
    printf("\"fates\": {");
    for (int fate = 0; fate < FATES; fate++) {
        size_t found = 0;
        for (size_t i = 0; i < count; i++) {
            if (fates[i] == fate) some[found++] = own[i];
        }
        timing_sort(some, found);
        printf("%s\"%s\": {\"share\": %.4f, \"p50_ns\": %.1f, \"p99_ns\": %.1f}", fate ? ", " : "", fate_names[fate],
               (double)found / (double)count, found ? ns * timing_quantile(some, found, 0.5) : 0,
               found ? ns * timing_quantile(some, found, 0.99) : 0);
    }
    printf("}, ");
    free(some);
}

/* Quantiles of each run, and of what each message took in the middle one of its runs: since a message does the same in every
 * run, that leaves out what came from elsewhere, an interrupt or another process. */
static void print_latencies(const struct flow *flow, const uint8_t *fates, size_t runs) {
    size_t count = flow->count - flow->begin;
    uint32_t overhead = timing_overhead(), *all = calloc(count * (runs + 1), sizeof *all), *own = all + count * runs;
    double ns = timing_ns_per_tick(), p50[runs], p99[runs], max[runs];
    if (!all) exit(1);
    for (size_t run = 0; run < runs; run++) time_each(flow, overhead, all + count * run);
    for (size_t i = 0; i < count; i++) {
        uint32_t took[runs];
        for (size_t run = 0; run < runs; run++) took[run] = all[count * run + i];
        timing_sort(took, runs);
        own[i] = took[runs / 2];
    }
    print_fates(fates, own, count, ns);
    for (size_t run = 0; run <= runs; run++) timing_sort(all + count * run, count);
    for (size_t run = 0; run < runs; run++) {
        p50[run] = ns * timing_quantile(all + count * run, count, 0.5);
        p99[run] = ns * timing_quantile(all + count * run, count, 0.99);
        max[run] = ns * timing_quantile(all + count * run, count, 1.0);
    }
    print_runs("p50_ns", p50, runs);
    print_runs("p99_ns", p99, runs);
    print_runs("max_ns", max, runs);
    printf("\"own_p50_ns\": %.1f, \"own_p99_ns\": %.1f, \"own_p999_ns\": %.1f, \"own_max_ns\": %.1f, ",
           ns * timing_quantile(own, count, 0.5), ns * timing_quantile(own, count, 0.99),
           ns * timing_quantile(own, count, 0.999), ns * timing_quantile(own, count, 1.0));
    printf("\"clock\": \"%s\", \"clock_own_ns\": %.1f, \"clock_step_ns\": %.1f", timing_clock(), ns * overhead,
           ns * (double)timing_step());
    free(all);
}

/* ---- Commands ------------------------------------------------------------------------------------------------- */

static struct flow made(char *const *arguments) {
    const struct scenario *scenario = scenario_named(arguments[0]);
    struct flow flow;
    if (!scenario || !scenario_make(scenario, strtoull(arguments[1], NULL, 10), strtoull(arguments[2], NULL, 10), &flow)) exit(2);
    return flow;
}

static int time_scenario(char *const *arguments) {
    struct flow flow = made(arguments);
    size_t runs = strtoull(arguments[3], NULL, 10);
    double book_ns[runs], nothing_ns[runs];
    pool_orders = (uint32_t)strtoul(arguments[4], NULL, 10);
    struct look look = look_at(&flow);
    for (size_t run = 0; run < runs; run++) {
        book_ns[run] = time_all(&flow, by_book);
        nothing_ns[run] = time_all(&flow, by_nothing);
    }
    printf("{\"scenario\": \"%s\", \"messages\": %zu, \"pool_orders\": %" PRIu32 ", ", arguments[0], flow.count - flow.begin, pool_orders);
    print_look(&look);
    print_runs("ns", book_ns, runs);
    print_runs("nothing_ns", nothing_ns, runs);
    print_latencies(&flow, look.fates, runs);
    printf("}\n");
    free(look.fates);
    free(look.resting);
    free(look.levels);
    free(flow.messages);
    return 0;
}

static int make_file(char *const *arguments) {
    struct flow flow = made(arguments);
    FILE *file = fopen(arguments[3], "wb");
    bool is_written = file && fwrite(&flow, sizeof flow, 1, file) == 1 &&
                      fwrite(flow.messages, sizeof *flow.messages, flow.count, file) == flow.count && fclose(file) == 0;
    printf("{\"messages\": %zu}\n", flow.count);
    free(flow.messages);
    return is_written ? 0 : 1;
}

static int count_pass(char *const *arguments) {
    struct flow flow;
    FILE *file = fopen(arguments[0], "rb");
    if (!file || fread(&flow, sizeof flow, 1, file) != 1) return 1;
    flow.messages = malloc(flow.count * sizeof *flow.messages);
    if (!flow.messages || fread(flow.messages, sizeof *flow.messages, flow.count, file) != flow.count) return 1;
    fclose(file);
    pool_orders = (uint32_t)strtoul(arguments[2], NULL, 10);
    struct book *book = open_book();
    const struct message *begin = flow.messages + flow.begin, *end = flow.messages + flow.count;
    uint64_t results = pass(book, flow.messages, begin, by_book);
    if (strcmp(arguments[1], "book") == 0) results += pass(book, begin, end, by_book);
    if (strcmp(arguments[1], "nothing") == 0) results += pass(book, begin, end, by_nothing);
    printf("{\"messages\": %zu, \"results\": %" PRIu64 "}\n", flow.count - flow.begin, results);
    close_book(book);
    free(flow.messages);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 7 && strcmp(arguments[1], "time") == 0) return time_scenario(arguments + 2);
    if (count == 6 && strcmp(arguments[1], "make") == 0) return make_file(arguments + 2);
    if (count == 5 && strcmp(arguments[1], "count") == 0) return count_pass(arguments + 2);
    fprintf(stderr, "What this takes stands at the top of book_bench.c.\n");
    return 2;
}
