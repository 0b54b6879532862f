/* Taking words off a snapshot; see snapshot.h. Shared by the files that read one. */

#ifndef BOURSE_SNAPSHOT_READER_H
#define BOURSE_SNAPSHOT_READER_H

#include "snapshot.h"

/* What is counted one by one does not come this far in the life of a core, and from here it can go on. */
#define SNAPSHOT_MOST_COUNTED (UINT64_C(1) << 53)

/* What is left of the stream. Once something is wrong it stays so, and words are 0. */
struct snapshot_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_broken;
};

/* Take a word, or an image. */
static inline void snapshot_take(struct snapshot_reader *reader, uint64_t *words, uint32_t count) {
    if ((uint64_t)(reader->end - reader->at) < 8 * (uint64_t)count) reader->is_broken = true;
    for (uint32_t i = 0; i < count; i++) words[i] = reader->is_broken ? 0 : hash_load(reader->at + 8 * i);
    if (!reader->is_broken) reader->at += 8 * (size_t)count;
}

static inline uint64_t snapshot_word(struct snapshot_reader *reader) {
    uint64_t word;
    snapshot_take(reader, &word, 1);
    return word;
}

/* A count that is at most `most`; 0 if it is not, or the stream is over. */
static inline uint32_t snapshot_count(struct snapshot_reader *reader, uint64_t most) {
    uint64_t count = snapshot_word(reader);
    if (count > most) reader->is_broken = true;
    return reader->is_broken ? 0 : (uint32_t)count;
}

/* Say that the stream is broken unless the rule holds; returns whether all is well so far. */
static inline bool snapshot_expect(struct snapshot_reader *reader, bool rule) {
    if (!rule) reader->is_broken = true;
    return !reader->is_broken;
}

static inline bool snapshot_is_id(const struct core *c, uint64_t id, uint64_t given) {
    return id % CORE_SHARDS == c->shard && id / CORE_SHARDS >= 1 && id / CORE_SHARDS <= given;
}

/* All orders, their names, and the names of ended ones (snapshot_orders.c). */
void snapshot_take_orders(struct snapshot_reader *reader, struct core *c);
void snapshot_take_ended(struct snapshot_reader *reader, struct core *c);

#endif
