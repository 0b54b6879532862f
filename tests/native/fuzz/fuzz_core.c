/* Target: a core, and commands of every kind. See driven.h for what is checked, grammar.h for what the bytes mean. */

#include "driven.h"

#include <stdlib.h>

/* Enough to fill every pool twice; more only makes a run slow. */
enum { MOST_RECORDS = 120, MOST_BURSTS = 4, SPOILED_BYTES = 3 };

/* Change a few bytes somewhere. */
static void spoil(struct grammar_record *record, struct fuzz_input *input) {
    for (uint32_t i = 0; i < SPOILED_BYTES && record->length > 0; i++) {
        uint32_t at = (uint32_t)(fuzz_byte(input) | (uint32_t)fuzz_byte(input) << 8) % record->length;
        record->bytes[at] ^= fuzz_byte(input);
    }
    if (fuzz_byte(input) >= 0xe0 && record->length > 0) record->length -= 1 + fuzz_byte(input) % record->length;
}

static void one_step(struct driven *driven, struct grammar *grammar, uint32_t *bursts) {
    uint8_t choice = fuzz_byte(&grammar->input);
    struct grammar_record record;
    switch (choice % 16) {
    case 12:
        driven_restore(driven, 32768 + choice * 64);
        break;
    case 13:
        record = grammar_next(grammar);
        spoil(&record, &grammar->input);
        driven_apply_spoiled(driven, record);
        break;
    case 14:
        driven_ask(driven, &grammar->input);
        break;
    case 15:
        if (++*bursts <= MOST_BURSTS) driven_apply(driven, grammar_burst(grammar));
        break;
    default:
        driven_apply(driven, grammar_next(grammar));
    }
    grammar->core = driven->core;
}

void fuzz_core(const uint8_t *bytes, size_t length) {
    struct fuzz_input input = {bytes, bytes + length};
    struct driven driven;
    struct grammar grammar;
    uint8_t choice = fuzz_byte(&input);
    uint32_t bursts = 0;
    driven_open(&driven, choice & 1 ? 7 : 0);
    grammar_begin(&grammar, driven.core, input);
    if (choice < 0xf0) driven_begin(&driven, &grammar);
    if (choice % 8 >= 2) driven_use_rules(&driven, &grammar);
    input = (struct fuzz_input){bytes, bytes + length};
    for (uint32_t i = 0; i < MOST_RECORDS && !fuzz_is_over(&grammar.input); i++) one_step(&driven, &grammar, &bursts);
    driven_restore(&driven, 32768);
    driven_ask(&driven, &input);
    driven_close(&driven);
}
