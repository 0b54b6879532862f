/* The memory of client order ids: which name an account gave to which order, and what it had sent.
 *
 * A name is remembered from the moment its order is taken in until a while after the order has ended. Names of ended orders
 * stand in a list by the time of their end. The clock only grows, so that is the order in which they are put there; when it
 * is put back, all later ends are brought forward to it (docs/matching.md), and the list is still in order. So remembering,
 * finding, ending and forgetting are constant; only names_bring_forward walks the list.
 *
 * A name is 72 bytes, and 16 to 32 for its entry in the table. Place 0 is no name. */

#ifndef BOURSE_NAMES_H
#define BOURSE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "table.h"

#define NAMES_NONE 0u
#define NAMES_MOST_BYTES 36
/* Its order has not ended. No end of an order is before 1970. */
#define NAMES_OPEN INT64_C(-1)

/* A name: its bytes, zero behind them, and its length in the last one. */
#define NAMES_TEXT_BYTES 40
struct names_text {
    uint8_t bytes[NAMES_TEXT_BYTES];
};

struct name {
    uint64_t order_id;
    uint64_t body;    /* a hash of what was sent under it */
    int64_t ended_us; /* NAMES_OPEN while its order is open */
    uint32_t account; /* the account's place */
    uint32_t later;   /* the next in the list of ended ones, or of free places */
    struct names_text text;
};

struct names {
    struct name *names;
    struct table table;
    uint32_t count, room;
    uint32_t ended; /* how many of them have ended */
    uint32_t fresh; /* the highest place that was ever used */
    uint32_t free;
    uint32_t first_ended, last_ended;
    uint64_t hash;
};

/* Room for so many. False: no memory; then names_close all the same. */
bool names_open(struct names *names, uint32_t room);
void names_close(struct names *names);

/* More room, never less. False: no memory, and all is as it was. */
bool names_reserve(struct names *names, uint32_t room);

/* A text of at most NAMES_MOST_BYTES. */
static inline struct names_text names_text(const uint8_t *at, uint32_t length) {
    assert(length <= NAMES_MOST_BYTES);
    struct names_text text = {{0}};
    memcpy(text.bytes, at, length);
    text.bytes[NAMES_TEXT_BYTES - 1] = (uint8_t)length;
    return text;
}

static inline uint32_t names_length(const struct names_text *text) { return text->bytes[NAMES_TEXT_BYTES - 1]; }

/* The place of a name of an account, or NAMES_NONE. */
uint32_t names_find(const struct names *names, uint32_t account, const struct names_text *text);

/* Bring near what names_find would look at first; and a name and its entry in the list. Change nothing. */
void names_warm(const struct names *names, uint32_t account, const struct names_text *text);
static inline void names_bring(const struct names *names, uint32_t place) {
    const struct name *name = &names->names[place];
    bring_near(name);
    bring_near(name->text.bytes + NAMES_TEXT_BYTES - 1);
}

/* Remember a name that is not remembered; its order is open. There is room. Returns its place. */
uint32_t names_add(struct names *names, uint32_t account, const struct names_text *text, uint64_t order_id, uint64_t body);

/* Its order has ended now, which is not before any earlier end. */
void names_end(struct names *names, uint32_t place, int64_t now_us);

/* Forget the names of all orders that ended before this. */
void names_forget(struct names *names, int64_t before_us);

/* Ends later than this are at this time from now on. */
void names_bring_forward(struct names *names, int64_t latest_us);

/* The image of a name. It holds its account's place: places are given in the order of the log, and snapshots keep them. */
#define NAMES_WORDS 10
void names_image(const struct name *name, uint64_t image[NAMES_WORDS]);

/* Every name found, the list of ended ones in order and complete, the hash computed afresh. 0, or the line of the broken rule in
 * names.c. That every open name has its order is the caller's to check: *open counts them. */
int names_validate(const struct names *names, uint32_t *open);

#endif
