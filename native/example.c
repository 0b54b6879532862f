/* How to embed a book, and how fast it is by itself.
 *
 *     gcc -std=c11 -O2 -fno-wrapv native/example.c native/book*.c -o example && ./example
 *
 * First one order meets two others and every report is printed; then a million random messages are timed. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "book.h"

#define MESSAGES 1000000
#define REPORTS 64

/* Place a good-till-cancelled limit order and write its reports; returns how many. The buffer is large enough for what
 * this example does: a book_place that answers BOOK_MORE is followed by book_continue with an emptied buffer. */
static size_t place(struct book *book, uint64_t id, enum book_side side, int64_t lots, int64_t price_ticks,
                    struct book_report *reports) {
    struct book_taker taker = {.entry = {.order_id = id, .owner = (uint32_t)id, .side = (uint8_t)side},
                               .price_ticks = price_ticks,
                               .lots = lots};
    size_t used = 0;
    if (book_place(book, &taker, reports, REPORTS, &used) != BOOK_DONE) abort();
    return used;
}

/* Two sells, and a buy that takes the first and part of the second. */
static void show(struct book *book) {
    static const char *const kinds[] = {"", "accepted", "amended", "trade", "reduced", "ended", "rested"};
    struct book_report reports[REPORTS];
    place(book, 1, BOOK_SELL, 5, 100, reports);
    place(book, 2, BOOK_SELL, 5, 101, reports);
    size_t used = place(book, 3, BOOK_BUY, 7, 101, reports);
    for (size_t at = 0; at < used; at++) {
        const struct book_report *report = &reports[at];
        printf("%-8s order %" PRIu64 "  %" PRId64 " @ %" PRId64 ", %" PRId64 " left\n", kinds[report->kind],
               report->order_id, report->lots, report->price_ticks, report->left_lots);
    }
}

/* Three messages in five place an order near the middle, two cancel a recent one. Returns how many were reported. */
static uint64_t drive(struct book *book) {
    struct book_report reports[REPORTS];
    uint64_t state = 88172645463325252u, id = 10, reported = 0;
    for (int message = 0; message < MESSAGES; message++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17; /* xorshift64 */
        size_t used = 0;
        if (state % 5 < 3) {
            enum book_side side = (enum book_side)(state >> 8 & 1);
            int64_t away = (int64_t)(state >> 16 & 127) - 12;
            int64_t price_ticks = side == BOOK_SELL ? 10000 + away : 10000 - away;
            used = place(book, id++, side, 1 + (int64_t)(state >> 24 & 15), price_ticks, reports);
        } else {
            book_cancel(book, id - 1 - (state >> 32) % 64, reports, REPORTS, &used);
        }
        reported += used;
    }
    return reported;
}

int main(void) {
    struct book_pool *pool = book_pool_open(MESSAGES, 0);
    struct book *book = pool ? book_open(pool, 0) : NULL;
    if (book == NULL) return 1;
    show(book);
    struct timespec start, end;
    timespec_get(&start, TIME_UTC);
    uint64_t reported = drive(book);
    timespec_get(&end, TIME_UTC);
    double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    printf("%d messages, %" PRIu64 " reports, %" PRIu32 " orders resting: %.1f ns a message\n", MESSAGES, reported,
           pool->order_count, ns / MESSAGES);
    int broken = book_validate(book);
    book_close(book);
    book_pool_close(pool);
    return broken ? 1 : 0;
}
