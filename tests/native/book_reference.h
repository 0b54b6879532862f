/* The same book as native/book.h, as simply as it can be said: two sorted arrays, everything found by looking at all of
 * it. It speaks in the book's own reports and results, so the two can be compared byte for byte. */

#ifndef BOURSE_BOOK_REFERENCE_H
#define BOURSE_BOOK_REFERENCE_H

#include "book.h"

#define REFERENCE_ORDERS 8192
#define REFERENCE_REPORTS 32768

struct reference_order {
    uint64_t order_id;
    int64_t price_ticks;
    int64_t lots;
    uint64_t priority;
    uint32_t owner;
    uint8_t side;
    uint8_t self_trade;
    uint8_t post_only;
};

/* Orders of each side, in the order in which they would trade. */
struct reference_side {
    struct reference_order orders[REFERENCE_ORDERS];
    int count;
};

/* What books of one pool share. */
struct reference_pool {
    uint32_t order_count;
    uint32_t order_limit;
};

struct reference {
    struct reference_pool *pool;
    struct reference_side side[2];
    uint64_t next_priority;
    struct book_report reports[REFERENCE_REPORTS]; /* of the last call */
    int report_count;
};

void reference_open(struct reference *reference, struct reference_pool *pool);
enum book_result reference_place(struct reference *reference, struct book_taker taker);
enum book_result reference_cancel(struct reference *reference, uint64_t order_id);
enum book_result reference_amend(struct reference *reference, uint64_t order_id, int64_t price_ticks, int64_t lots);

/* The order with this id, or NULL. */
struct reference_order *reference_find(struct reference *reference, uint64_t order_id);

#endif
