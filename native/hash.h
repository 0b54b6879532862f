/* Hashes of the core's state.
 *
 * The state is a bag of things: orders, balances, accounts, and so on. Each has an image, a few 64-bit words that hold all
 * of it; the same words in the same order are what the snapshot writes. A thing's hash is over its image, the state hash is
 * the sum of all of them mod 2^64. So a change costs the old thing's hash and the new one's, wherever the thing stands in
 * memory, and two cores that came to the same state by different ways agree.
 *
 * Cost: one 64 × 64 bit product for two words, none waiting for another, and two more at the end; an order takes about 8 ns.
 * The hash finds replicas that differ by mistake. It does not stand up to somebody who chooses the words, and need not. */

#ifndef BOURSE_HASH_H
#define BOURSE_HASH_H

#include <stdint.h>
#include <string.h>

/* 2^64 divided by the golden ratio, odd: adding it over and over visits everything, well spread (Knuth, volume 3, 6.4). */
#define HASH_SPREAD UINT64_C(0x9e3779b97f4a7c15)

/* What a thing is, so that things of different kinds with equal words differ. The numbers are the snapshot's too. */
enum hash_kind {
    HASH_CORE = 1,
    HASH_ASSET = 2,
    HASH_ACCOUNT = 3,
    HASH_BALANCE = 4,
    HASH_INSTRUMENT = 5,
    HASH_MARKET = 6,
    HASH_ORDER = 7,
    HASH_NAME = 8,
    HASH_SESSION = 9,
    HASH_SESSION_BATCH = 10,
    HASH_SOURCE = 11,
    HASH_BODY = 12,
    HASH_MORE = 13,
    HASH_GUARDS = 14,
    HASH_LIMITS = 15,
    HASH_HALT = 16,
};

/* The last step of SplitMix64 (Steele, Lea, Flood 2014): every bit of z changes half of the result's. */
static inline uint64_t hash_mix(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* What the words at i and i + 1 add to the hash of an image. */
static inline uint64_t hash_pair(const uint64_t *image, uint32_t i) {
    uint64_t left = image[i] + (2 * i + 1) * HASH_SPREAD;
    uint64_t right = image[i + 1] + (2 * i + 3) * HASH_SPREAD;
    unsigned __int128 product = (unsigned __int128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The hash of an image. `words` is even. The pairs are multiplied as in NH (Black et al. 1999), with both halves of the
 * product kept: they do not depend on each other, which is what makes it fast. */
static inline uint64_t hash_words(enum hash_kind kind, const uint64_t *image, uint32_t words) {
    uint64_t sum = (uint64_t)kind * HASH_SPREAD;
    for (uint32_t i = 0; i < words; i += 2) sum += hash_pair(image, i);
    return hash_mix(sum);
}

/* A compiler that may add in any order keeps all products, for which there are not enough registers: after the empty
 * statement of assembly the sum is what it is. */
static inline uint64_t hash_add(uint64_t sum, uint64_t share) {
    sum += share;
    __asm__("" : "+r"(sum));
    return sum;
}

/* The same of twelve words, without a loop and without an image in memory: orders have twelve, and change most. */
static inline uint64_t hash_twelve_words(enum hash_kind kind, const uint64_t image[12]) {
    uint64_t sum = hash_add((uint64_t)kind * HASH_SPREAD, hash_pair(image, 0));
    sum = hash_add(sum, hash_pair(image, 2));
    sum = hash_add(sum, hash_pair(image, 4));
    sum = hash_add(sum, hash_pair(image, 6));
    sum = hash_add(sum, hash_pair(image, 8));
    return hash_mix(hash_add(sum, hash_pair(image, 10)));
}

/* One total's share of the balance hash, which the ledger computes too: docs/matching.md states it. */
static inline uint64_t hash_total(uint32_t account, uint32_t asset, int64_t total_minor) {
    if (total_minor == 0) return 0;
    uint64_t key = (uint64_t)account << 32 | asset;
    return hash_mix(hash_mix(key + HASH_SPREAD) ^ (uint64_t)total_minor);
}

/* Eight bytes as a word and back, lowest first on every machine. */
static inline uint64_t hash_load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}
static inline void hash_store(uint8_t *at, uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(at, &word, sizeof word);
}

/* 32 bits from 64, for the tables of the core: the high ones, since they depend on all. */
static inline uint32_t hash_fold(uint64_t word) { return (uint32_t)((word ^ word >> 29) * HASH_SPREAD >> 32); }

#endif
