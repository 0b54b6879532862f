/* Snapshots in which one word is wrong: each word of one in several ways, taken out, and doubled; the hash at its end put right,
 * so that every other rule has to find it. See driven_restore_any for what is checked of those that are let in: a credit more, a
 * clock that is later are states like any other.
 *
 * Prints how many were tried, and how many were let in. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/driven.h"

static const uint64_t marks[] = {
    0, 1, UINT64_C(1) << 16, UINT64_C(1) << 31, UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 62) + 1, UINT64_C(1) << 63,
};
enum { LATER_BYTES = 120, MARKS = sizeof marks / sizeof *marks, WAYS = 3 * MARKS + 8 };

/* The ways: another value, more, less, or one byte of the word turned over. */
static uint64_t changed(uint64_t word, int way) {
    if (way >= 3 * MARKS) return word ^ UINT64_C(0xff) << 8 * (way - 3 * MARKS);
    uint64_t mark = marks[way % MARKS];
    return way < MARKS ? mark : way < 2 * MARKS ? word + mark : word - mark;
}

static long tried, let_in;

static void try(const uint8_t *bytes, size_t length) {
    uint8_t later[LATER_BYTES];
    uint8_t *copy = fuzz_copy(bytes, length);
    for (uint32_t i = 0; i < sizeof later; i++) later[i] = (uint8_t)(hash_mix((uint64_t)tried << 32 | i));
    int result = driven_restore_any(copy, length, (struct fuzz_input){later, later + sizeof later});
    tried++;
    let_in += result == CORE_OK;
    free(copy);
}

static void try_word(uint8_t *bytes, size_t length, size_t at) {
    uint64_t right = hash_load(bytes + at);
    for (int way = 0; way < WAYS; way++) {
        if (changed(right, way) == right) continue;
        hash_store(bytes + at, changed(right, way));
        try(bytes, length);
    }
    hash_store(bytes + at, right);
}

/* Without it, and with it twice. There is room for one word more. */
static void try_places(uint8_t *bytes, size_t length, size_t at) {
    uint8_t *other = malloc(length + 8);
    FUZZ_CHECK(other != NULL);
    memcpy(other, bytes, at);
    memcpy(other + at, bytes + at + 8, length - at - 8);
    try(other, length - 8);
    memcpy(other, bytes, at + 8);
    memcpy(other + at + 8, bytes + at, length - at);
    try(other, length + 8);
    free(other);
}

/* Everything about the snapshot of a world; of the sources, which are many and alike, every 32nd. */
static void try_world(uint32_t rules) {
    struct driven driven;
    struct grammar grammar;
    size_t length;
    driven_world(&driven, &grammar, rules);
    uint8_t *bytes = driven_snapshot(driven.core, 1u << 20, &length);
    size_t sources = length - 8 * (SESSION_SOURCES + 1);
    for (size_t at = 0; at < length; at += at >= sources && at < length - 256 ? 256 : 8) {
        try_word(bytes, length, at);
        try_places(bytes, length, at);
    }
    for (size_t at = 0; at < length; at += 61) try(bytes, at);
    free(bytes);
    driven_close(&driven);
}

int main(void) {
    for (uint32_t rules = 1; rules <= CORE_KNOWN_RULES; rules++) try_world(rules);
    printf("%ld snapshots, %ld let in\n", tried, let_in);
    return 0;
}
