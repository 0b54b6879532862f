/* What the fuzz targets share. A target is a function that takes bytes from anywhere, does something with native/ that the
 * bytes decide, and ends the process where a rule is broken. It keeps nothing from one call to the next, so bytes that were
 * kept do the same again.
 *
 * clang builds them with libFuzzer (tools/fuzz); feed.c gives them files, for a machine that has gcc alone. */

#ifndef BOURSE_FUZZ_H
#define BOURSE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void fuzz_codec(const uint8_t *bytes, size_t length);
void fuzz_core(const uint8_t *bytes, size_t length);
void fuzz_snapshot(const uint8_t *bytes, size_t length);
void fuzz_book(const uint8_t *bytes, size_t length);

/* ---- Input ---------------------------------------------------------------------------------------------------------- */

/* Bytes not yet used. Where there are none left, all further ones are 0. */
struct fuzz_input {
    const uint8_t *at;
    const uint8_t *end;
};

static inline bool fuzz_is_over(const struct fuzz_input *input) { return input->at == input->end; }

static inline uint8_t fuzz_byte(struct fuzz_input *input) { return input->at == input->end ? 0 : *input->at++; }

static inline uint64_t fuzz_word(struct fuzz_input *input) {
    uint64_t word = 0;
    for (int i = 0; i < 64; i += 8) word |= (uint64_t)fuzz_byte(input) << i;
    return word;
}

/* A number where limits lie, by its choice. */
uint64_t fuzz_edge(uint8_t choice);

/* A number: 0, a small one, one where limits lie, or any. */
uint64_t fuzz_number(struct fuzz_input *input);

/* ---- Output --------------------------------------------------------------------------------------------------------- */

/* What a target came to, for comparing one build with another: states, which are the same however much fits into a part,
 * and bytes, which are not. */
struct fuzz_digest {
    uint64_t states;
    uint64_t bytes;
};
#define FUZZ_BASIS UINT64_C(0xcbf29ce484222325)
extern struct fuzz_digest fuzz_digest;

/* Print each note, so that the first different one can be found. */
extern bool fuzz_is_telling;

void fuzz_note_state(const char *what, uint64_t word);
void fuzz_note_bytes(const char *what, const uint8_t *bytes, size_t length);

/* Say where and end the process. */
_Noreturn void fuzz_broken(const char *file, int line, const char *rule, long long value);

#define FUZZ_CHECK(rule) ((rule) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #rule, 0))
/* A validator's answer is a line of its own. */
#define FUZZ_CHECK_ZERO(call) \
    do { \
        long long line_there = (call); \
        if (line_there != 0) fuzz_broken(__FILE__, __LINE__, #call, line_there); \
    } while (0)

/* A copy of exactly this size, so that one byte too far is seen. The caller's to free. */
uint8_t *fuzz_copy(const uint8_t *bytes, size_t length);

#endif
