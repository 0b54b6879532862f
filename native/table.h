/* Where a thing with a given key is found: open addressing from a 32-bit hash of the key to the thing's place in an array.
 *
 * The table knows hashes and places only; the caller looks whether what stands there is what it wants. Never more than half
 * full, so a search looks at one or two entries. Eight entries are one cache line, and hashes that differ in their low three
 * bits only are neighbours there: whoever makes the hash decides by these what is found together. Removing moves later entries
 * of the run into the hole, so there are no graves and a table does not age. Place 0 means nothing. */

#ifndef BOURSE_TABLE_H
#define BOURSE_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "insist.h"
#include "near.h"

struct table_entry {
    uint32_t check; /* the hash */
    uint32_t place; /* 0: empty */
};

struct table {
    struct table_entry *entries;
    uint32_t count;
    uint32_t bits; /* 2^bits entries */
};

static inline uint32_t table_mask(const struct table *table) { return (uint32_t)((UINT64_C(1) << table->bits) - 1); }

/* Odd and near 2^32 divided by the golden ratio: multiplying by it spreads neighbours (Knuth, volume 3, 6.4). */
#define TABLE_SPREAD UINT32_C(0x9E3779B1)

/* Where a search for this hash begins: groups of eight are spread, within a group they are neighbours. */
static inline uint32_t table_home(const struct table *table, uint32_t check) {
    return ((check >> 3) * TABLE_SPREAD >> (35 - table->bits)) << 3 | (check & 7);
}

/* Bring near where a search for this hash begins. */
static inline void table_warm(const struct table *table, uint32_t check) {
    bring_near(&table->entries[table_home(table, check)]);
}

/* The next place under this hash, 0 if there are no more. *at is where to look and moves behind what was found. */
static inline uint32_t table_next(const struct table *table, uint32_t check, uint32_t *at) {
    uint32_t mask = table_mask(table);
    for (;;) {
        struct table_entry entry = table->entries[*at];
        *at = (*at + 1) & mask;
        if (entry.place == 0 || entry.check == check) return entry.place;
    }
}

/* Enter a place. The caller has kept the count within what was reserved. */
static inline void table_put(struct table *table, uint32_t check, uint32_t place) {
    uint32_t mask = table_mask(table);
    uint32_t at = table_home(table, check);
    while (table->entries[at].place != 0) at = (at + 1) & mask;
    table->entries[at] = (struct table_entry){check, place};
    table->count++;
}

/* Take out a place that was entered under this hash. */
static inline void table_drop(struct table *table, uint32_t check, uint32_t place) {
    uint32_t mask = table_mask(table);
    uint32_t hole = table_home(table, check);
    while (table->entries[hole].place != place) {
        assert(table->entries[hole].place != 0);
        hole = (hole + 1) & mask;
    }
    for (uint32_t at = (hole + 1) & mask; table->entries[at].place != 0; at = (at + 1) & mask) {
        uint32_t home = table_home(table, table->entries[at].check);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->entries[hole] = table->entries[at];
            hole = at;
        }
    }
    table->entries[hole].place = 0;
    table->count--;
}

/* Make room for this many entries, at most 2^28; what is there stays. False: no memory, and nothing changed. */
static inline bool table_reserve(struct table *table, uint32_t entries) {
    uint32_t bits = 4;
    while ((UINT64_C(1) << bits) < 2 * (uint64_t)entries) bits++;
    if (table->entries && bits <= table->bits) return true;
    struct table grown = {calloc((size_t)1 << bits, sizeof *grown.entries), 0, bits};
    if (!grown.entries) return false;
    for (uint64_t i = 0; table->entries && i <= table_mask(table); i++) {
        if (table->entries[i].place != 0) table_put(&grown, table->entries[i].check, table->entries[i].place);
    }
    free(table->entries);
    *table = grown;
    return true;
}

/* An array with room for `wanted` items instead of `had`, the first `used` ones kept and the rest zero, untouched until
 * used. NULL: no memory, and the old one stays. */
static inline void *array_grow(void *old, size_t item, size_t used, size_t wanted) {
    char *grown = calloc(wanted, item);
    if (!grown) return NULL;
    if (old) memcpy(grown, old, used * item);
    free(old);
    return grown;
}

#endif
