/* Target: snapshots that are no snapshots. Bytes as they come; or a true snapshot with words changed, taken out and put in,
 * and the hash at its end put right, so that all the other rules are tried.
 *
 * What is let in must hold together, be written as it was read, and go on.
 *
 * The restore asks core.c for the hash in one place, in another file: the linker sends that call here (--wrap), and what it
 * would have liked to read is remembered. */

#include <stdlib.h>
#include <string.h>

#include "driven.h"
#include "snapshot.h"

enum { MOST_STEPS = 24, MOST_EDITS = 12, RECORDS_AFTER = 6 };

static struct {
    bool is_known;
    uint64_t state;
    uint64_t balances;
} wanted;

uint64_t __real_core_state_hash(const struct core *c);
uint64_t __wrap_core_state_hash(const struct core *c);
uint64_t __wrap_core_state_hash(const struct core *c) {
    wanted.is_known = true;
    wanted.state = __real_core_state_hash(c);
    wanted.balances = c->risk.balance_hash;
    return wanted.state;
}

/* What was let in: the same bytes come out, and whatever is done next can be done. */
static void go_on(core *restored, const uint8_t *bytes, size_t length, struct fuzz_input input) {
    struct driven driven = {restored, NULL};
    struct grammar grammar;
    size_t again_length;
    FUZZ_CHECK_ZERO(core_validate(restored));
    uint8_t *again = driven_snapshot(restored, 1u << 20, &again_length);
    FUZZ_CHECK(again_length == length && memcmp(again, bytes, length) == 0);
    free(again);
    grammar_begin(&grammar, restored, input);
    grammar.time_us = restored->clock_us;
    for (int i = 0; i < RECORDS_AFTER && !fuzz_is_over(&grammar.input); i++) driven_apply(&driven, grammar_next(&grammar));
    driven_close(&driven);
}

static int restore(const uint8_t *bytes, size_t length, struct fuzz_input input) {
    core *restored = NULL;
    uint8_t *exact = fuzz_copy(bytes, length);
    int result = core_restore(exact, length, &restored);
    if (result == CORE_OK) go_on(restored, exact, length, input);
    else FUZZ_CHECK(restored == NULL && (result == CORE_BROKEN || result == CORE_UNKNOWN_RULES || result == CORE_NO_ROOM));
    fuzz_note_state("result", (uint64_t)result);
    free(exact);
    return result;
}

/* Put the hash right: what the first try would have liked to read. */
int driven_restore_any(uint8_t *bytes, size_t length, struct fuzz_input input) {
    wanted.is_known = false;
    int result = restore(bytes, length, input);
    if (result == CORE_OK || !wanted.is_known || length < 16) return result;
    hash_store(bytes + length - 16, wanted.state);
    hash_store(bytes + length - 8, wanted.balances);
    return restore(bytes, length, input);
}

/* A value beside the one that stands there, or where limits lie, or any. */
static uint64_t changed(uint64_t word, struct fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    uint8_t by = fuzz_byte(input);
    switch (choice % 8) {
    case 0: return word + by + 1;
    case 1: return word - by - 1;
    case 2: return word ^ UINT64_C(1) << by % 64;
    case 3: return word + ((uint64_t)by << 32);
    case 4: return by;
    case 5: return (word & UINT64_C(0xffffffff00000000)) | (uint32_t)fuzz_edge(by);
    case 6: return fuzz_edge(by);
    default: return fuzz_word(input);
    }
}

/* Change words of a snapshot; returns its new length. There is room for MOST_EDITS more. */
static size_t edit(uint8_t *bytes, size_t length, struct fuzz_input *input) {
    uint32_t edits = fuzz_byte(input) % (MOST_EDITS + 1);
    for (; edits > 0; edits--) {
        size_t words = length / 8;
        uint8_t how = fuzz_byte(input);
        size_t place = (fuzz_byte(input) | (size_t)fuzz_byte(input) << 8) % words;
        uint8_t *at = bytes + 8 * place;
        if (how < 0xe0) {
            hash_store(at, changed(hash_load(at), input));
        } else if (how < 0xf0 && words > 2) {
            memmove(at, at + 8, length - 8 * (place + 1));
            length -= 8;
        } else {
            memmove(at + 8, at, length - 8 * place);
            hash_store(at, fuzz_number(input));
            length += 8;
        }
    }
    return length;
}

/* A core that something was done to. */
static void live(struct driven *driven, struct grammar *grammar, uint32_t steps) {
    driven_open(driven, 0);
    grammar->core = driven->core;
    driven_begin(driven, grammar);
    if (steps % 4 != 0) driven_use_rules(driven, grammar);
    for (; steps > 0 && !fuzz_is_over(&grammar->input); steps--) driven_apply(driven, grammar_next(grammar));
}

void fuzz_snapshot(const uint8_t *bytes, size_t length) {
    struct fuzz_input input = {bytes, bytes + length};
    uint8_t choice = fuzz_byte(&input);
    if (choice == 0) {
        restore(input.at, (size_t)(input.end - input.at), input);
        return;
    }
    struct driven driven;
    struct grammar grammar;
    grammar_begin(&grammar, NULL, input);
    live(&driven, &grammar, choice % MOST_STEPS);
    size_t written;
    uint8_t *snapshot = driven_snapshot(driven.core, 1u << 20, &written);
    uint8_t *edited = malloc(written + 8 * MOST_EDITS);
    FUZZ_CHECK(edited != NULL);
    memcpy(edited, snapshot, written);
    written = edit(edited, written, &grammar.input);
    driven_restore_any(edited, written, grammar.input);
    free(edited);
    free(snapshot);
    driven_close(&driven);
}
