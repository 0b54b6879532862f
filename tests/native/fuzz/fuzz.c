/* See fuzz.h. Built with -DFUZZ_TARGET=fuzz_core and the like it is also what libFuzzer calls. */

#include "fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fuzz_digest fuzz_digest;
bool fuzz_is_telling;

uint64_t fuzz_edge(uint8_t choice) {
    static const uint64_t edges[16] = {
        0,
        1,
        UINT64_C(1) << 20,
        INT32_MAX,
        UINT64_C(1) << 31,
        UINT32_MAX,
        UINT64_C(1) << 32,
        UINT64_C(1) << 53,
        (UINT64_C(1) << 61) + 1,
        (UINT64_C(1) << 62) - 1,
        UINT64_C(1) << 62,
        (UINT64_C(1) << 62) + 1,
        INT64_MAX - 4096,
        INT64_MAX,
        UINT64_C(1) << 63,
        UINT64_MAX,
    };
    return edges[choice % 16];
}

uint64_t fuzz_number(struct fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    if (choice < 0xe0) return choice;
    return choice < 0xf0 ? fuzz_edge(choice) : fuzz_word(input);
}

#ifdef FUZZ_TARGET
/* A fuzzer compares nothing, and every loop is something it follows. */
void fuzz_note_state(const char *what, uint64_t word) { (void)what, (void)word; }
void fuzz_note_bytes(const char *what, const uint8_t *bytes, size_t length) { (void)what, (void)bytes, (void)length; }
#else
/* FNV-1a (Fowler, Noll, Vo): only builds on one machine are compared by it. */
static uint64_t mix(uint64_t sum, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

void fuzz_note_state(const char *what, uint64_t word) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(word >> 8 * i);
    fuzz_digest.states = mix(fuzz_digest.states, bytes, sizeof bytes);
    if (fuzz_is_telling) printf("  %s %016" PRIx64 "\n", what, word);
}

void fuzz_note_bytes(const char *what, const uint8_t *bytes, size_t length) {
    uint64_t sum = mix(length, bytes, length);
    fuzz_digest.bytes = fuzz_digest.bytes * UINT64_C(0x100000001b3) + sum;
    if (fuzz_is_telling) printf("  %s %zu bytes %016" PRIx64 "\n", what, length, sum);
}
#endif

void fuzz_broken(const char *file, int line, const char *rule, long long value) {
    fprintf(stderr, "%s:%d: broken: %s", file, line, rule);
    if (value != 0) fprintf(stderr, " (%lld)", value);
    fprintf(stderr, "\n");
    abort();
}

uint8_t *fuzz_copy(const uint8_t *bytes, size_t length) {
    uint8_t *copy = malloc(length ? length : 1);
    FUZZ_CHECK(copy != NULL);
    if (length) memcpy(copy, bytes, length);
    return copy;
}

#ifdef FUZZ_TARGET
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    FUZZ_TARGET(bytes, length);
    return 0;
}
#endif
