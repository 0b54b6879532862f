/* What follows from what a command did: links between orders, and the queue of those that were triggered; see core.h and
 * docs/matching.md. */

#include "core.h"

/* ---- Rows ----------------------------------------------------------------------------------------------------- */

void core_row_push(struct core *c, struct core_row *row, uint32_t slot) {
    struct book_order *order = book_order_at(c->pool, slot);
    assert(order->level == BOOK_NONE);
    order->next = BOOK_NONE;
    order->previous = row->last;
    if (row->last == BOOK_NONE) {
        row->first = slot;
    } else {
        book_order_at(c->pool, row->last)->next = slot;
    }
    row->last = slot;
}

void core_row_drop(struct core *c, struct core_row *row, uint32_t slot) {
    const struct book_order *order = book_order_at(c->pool, slot);
    if (order->previous == BOOK_NONE) {
        row->first = order->next;
    } else {
        book_order_at(c->pool, order->previous)->next = order->next;
    }
    if (order->next == BOOK_NONE) {
        row->last = order->previous;
    } else {
        book_order_at(c->pool, order->next)->previous = order->previous;
    }
}

void core_row_insert(struct core *c, struct core_row *row, uint32_t slot) {
    struct book_order *order = book_order_at(c->pool, slot);
    uint32_t before = row->last;
    while (before != BOOK_NONE && book_order_at(c->pool, before)->order_id > order->order_id) {
        before = book_order_at(c->pool, before)->previous;
    }
    order->previous = before;
    order->next = before == BOOK_NONE ? row->first : book_order_at(c->pool, before)->next;
    if (before == BOOK_NONE) {
        row->first = slot;
    } else {
        book_order_at(c->pool, before)->next = slot;
    }
    if (order->next == BOOK_NONE) {
        row->last = slot;
    } else {
        book_order_at(c->pool, order->next)->previous = slot;
    }
}

/* ---- Links ---------------------------------------------------------------------------------------------------- */

bool core_settle_links(struct core *c) {
    while (c->link_count != 0) {
        if (!core_has_room(c)) return false;
        struct core_link link = c->links[0];
        c->link_count--;
        memmove(c->links, c->links + 1, c->link_count * sizeof link);
        core_follow_link(c, link);
    }
    return true;
}

/* ---- The queue ------------------------------------------------------------------------------------------------ */

bool core_cascade(struct core *c) {
    struct core_progress *p = &c->progress;
    while (p->stage == STAGE_CASCADE) {
        if (!core_settle_links(c)) return false;
        if (c->queue.first == BOOK_NONE) {
            p->stage = STAGE_DONE;
            return true;
        }
        if (!core_has_room(c)) return false;
        core_decide_queued(c, c->queue.first);
    }
    return true;
}
