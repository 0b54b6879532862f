/* Gives a target inputs without a fuzzer, and prints what each came to.
 *
 *     feed TARGET PACK                     every input of a pack: see pack.py
 *     feed TARGET random SEED COUNT BYTES  so many inputs made from a seed, of so many bytes
 *     feed TARGET PACK INDEX               one input, every note of it told; so, too, with a seed and count 1
 *
 * A line for each input: its index, the digest of states, the digest of bytes. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

typedef void target(const uint8_t *bytes, size_t length);

static target *find_target(const char *name) {
    if (strcmp(name, "codec") == 0) return fuzz_codec;
    if (strcmp(name, "core") == 0) return fuzz_core;
    if (strcmp(name, "snapshot") == 0) return fuzz_snapshot;
    if (strcmp(name, "book") == 0) return fuzz_book;
    fprintf(stderr, "no target %s\n", name);
    exit(2);
}

/* One input, in a block of exactly its size. */
static void feed(target *run, long index, const uint8_t *bytes, size_t length) {
    uint8_t *copy = fuzz_copy(bytes, length);
    fuzz_digest = (struct fuzz_digest){FUZZ_BASIS, FUZZ_BASIS};
    run(copy, length);
    free(copy);
    printf("%ld %016" PRIx64 " %016" PRIx64 "\n", index, fuzz_digest.states, fuzz_digest.bytes);
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void feed_random(target *run, uint64_t seed, long count, size_t length) {
    uint8_t *bytes = malloc(length);
    if (!bytes) exit(2);
    for (long index = 0; index < count; index++) {
        uint64_t state = seed + (uint64_t)index;
        for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)next_random(&state);
        feed(run, index, bytes, length);
    }
    free(bytes);
}

/* A pack is inputs behind each other, each behind its length in four bytes, lowest first. `only` below 0: all of them. */
static void feed_pack(target *run, FILE *pack, long only) {
    uint8_t head[4];
    for (long index = 0; fread(head, 1, sizeof head, pack) == sizeof head; index++) {
        size_t length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        uint8_t *bytes = malloc(length ? length : 1);
        if (!bytes || fread(bytes, 1, length, pack) != length) exit(2);
        if (only < 0 || only == index) feed(run, index, bytes, length);
        free(bytes);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    target *run = find_target(argv[1]);
    if (strcmp(argv[2], "random") == 0 && argc == 6) {
        long count = strtol(argv[4], NULL, 10);
        fuzz_is_telling = count == 1;
        feed_random(run, strtoull(argv[3], NULL, 10), count, strtoul(argv[5], NULL, 10));
        return 0;
    }
    FILE *pack = fopen(argv[2], "rb");
    if (!pack) return 2;
    fuzz_is_telling = argc == 4;
    feed_pack(run, pack, argc == 4 ? strtol(argv[3], NULL, 10) : -1);
    fclose(pack);
    return 0;
}
